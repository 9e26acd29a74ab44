/** Reading the head of an HTTP/1 request, within limits, and writing an answer. Just what probes and scrapers need. */

/** Bytes of request line and headers; more is refused. */
const maxHead = 8 * 1024;

export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

/** A request that can't be served, by its status code; `null` where the peer went away without asking. */
export type BadRequest = 400 | 431 | null;

/** Reads up to the empty line; the body, if any, stays unread. */
export async function readRequest(connection: Deno.Conn): Promise<HttpRequest | BadRequest> {
  const buffer = new Uint8Array(maxHead);
  const decoder = new TextDecoder("latin1");
  for (let length = 0; length < maxHead;) {
    const count = await connection.read(buffer.subarray(length));
    if (count === null) return length === 0 ? null : 400;
    length += count;
    const head = decoder.decode(buffer.subarray(0, length));
    if (/\r?\n\r?\n/.test(head)) return parseRequestLine(head.slice(0, head.search(/\r?\n/)));
  }
  return 431;
}

function parseRequestLine(line: string): HttpRequest | 400 {
  const match = /^([A-Z]+) (?:http:\/\/[^/? ]*)?(\/[^? ]*)(?:\?\S*)? HTTP\/1\.[01]$/.exec(line);
  return match?.[1] === undefined || match[2] === undefined ? 400 : { method: match[1], path: match[2] };
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** `text/plain; charset=utf-8` unless told. */
  readonly type?: string;
}

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** The answer as bytes. To HEAD the body is left out, its length is told all the same. Every answer ends its connection. */
export function answerBytes(answer: HttpAnswer, method: string): Uint8Array {
  const body = new TextEncoder().encode(answer.body);
  const head = [
    `HTTP/1.1 ${answer.status} ${reasons[answer.status] ?? ""}`,
    `Content-Type: ${answer.type ?? "text/plain; charset=utf-8"}`,
    `Content-Length: ${body.length}`,
    ...(answer.status === 405 ? ["Allow: GET, HEAD"] : []),
    "Cache-Control: no-store",
    "Connection: close",
    "\r\n",
  ].join("\r\n");
  const start = new TextEncoder().encode(head);
  if (method === "HEAD") return start;
  const all = new Uint8Array(start.length + body.length);
  all.set(start);
  all.set(body, start.length);
  return all;
}
