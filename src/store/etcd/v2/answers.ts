/**
 * What etcd's v2 API answers, read: nodes, events and errors. Pure, but for the classes of error that it makes.
 *
 * A key's end is told by etcd's clock. It is turned into ours with the answer's own date, which is etcd's clock too, so that
 * clocks that differ do no harm.
 *
 * Nothing in an answer is believed: where it is not what etcd documents, it is an EndpointError and the next member is asked.
 */
import type { Instant } from "../../../model/clock.ts";
import { isJsonObject, type Json, type JsonObject } from "../../../model/json.ts";
import { ApiAbsent, Denied, EndpointError } from "../errors.ts";
import { HistoryLost, type KeyRange, type WatchEvent } from "../reader.ts";
import { IndexCleared, type V2Node } from "./remote.ts";

/** An answer's first part. */
export interface AnswerHead {
  readonly status: number;
  /** Empty where etcd names none. */
  readonly cluster: string;
  /** The store's index when the answer was begun. */
  readonly index: number;
  /** etcd's wall clock then, milliseconds; null where it does not say. */
  readonly date: number | null;
  /** Ours. */
  readonly at: Instant;
}

/** The first part as HTTP has it: names in small letters. */
export interface HttpHead {
  readonly statusCode?: number | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** Where a header is absent or nonsense: no name, index 0, no date. */
export function headOf({ statusCode, headers }: HttpHead, at: Instant): AnswerHead {
  const index = Number(headers["x-etcd-index"]);
  const date = Date.parse(String(headers["date"]));
  return {
    status: statusCode ?? 0,
    cluster: String(headers["x-etcd-cluster-id"] ?? ""),
    index: Number.isSafeInteger(index) ? index : 0,
    date: Number.isNaN(date) ? null : date,
    at,
  };
}

/** Members that etcd documents: action, node; errorCode, message, cause, index. */
export type BodyJson = JsonObject;

/** What is no answer of etcd's. */
class Malformed extends Error {}

/** Directories inside each other, as keys of ours never are. */
const DEEPEST = 16;

/** etcd's error codes that mean something to us. */
export const CODES = {
  keyNotFound: 100,
  compareFailed: 101,
  notFile: 102,
  notDirectory: 104,
  nodeExists: 105,
  unauthorized: 110,
  eventIndexCleared: 401,
} as const;

/** The answers that the callers of a read or write have a use for. */
const EXPECTED: ReadonlySet<number> = new Set([CODES.keyNotFound, CODES.compareFailed, CODES.nodeExists]);

/** An answer whose first part and text are here. */
export interface Answer {
  readonly head: AnswerHead;
  readonly text: string;
}

/** etcd says no to what was asked: the key is not as expected, or absent. */
export class V2Error extends Error {
  override readonly name = "V2Error";
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** Whom an answer came from. */
export interface AnswerSource {
  readonly endpoint: string;
  /** We gave a user and password. */
  readonly hasUser: boolean;
}

/**
 * The content of a good answer.
 *
 * @throws V2Error, IndexCleared, Denied, EndpointError
 */
export function contentOf({ head, text }: Answer, source: AnswerSource): BodyJson {
  const body = parseBody(text);
  if (head.status < 300 && body !== null) return body;
  throw refusal(head, body, text, source);
}

function parseBody(text: string): BodyJson | null {
  try {
    const value: Json = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** @throws EndpointError where `read` finds that it is no answer of etcd's */
export function understood<T>({ endpoint }: AnswerSource, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof Malformed)) throw thrown;
    throw new EndpointError(
      endpoint,
      `an answer that is not etcd's: ${thrown.message}`,
      "check what runs there",
      false,
    );
  }
}

function refusal(head: AnswerHead, body: BodyJson | null, text: string, source: AnswerSource): Error {
  const said = body === null
    ? text.trim().slice(0, 100)
    : `${wordOf(body["message"])}: ${wordOf(body["cause"])}`;
  const code = numberOr(body?.["errorCode"], 0);
  if (code === CODES.eventIndexCleared) return new IndexCleared(numberOr(body?.["index"], head.index));
  if (head.status === 401 || code === CODES.unauthorized) return unauthorized(source);
  if (EXPECTED.has(code)) return new V2Error(code, said);
  if (code >= 100 && code < 200) return misplaced(code, said, wordOf(body?.["cause"]));
  if (head.status === 404) {
    return new ApiAbsent("v2", "start etcd (up to 3.5) with --enable-v2, or use --etcd-api=v3");
  }
  if (head.status === 403) {
    return new Denied("permission denied", "give the etcd user a role that may read and write there", false);
  }
  return new EndpointError(
    source.endpoint,
    `etcd answered ${head.status}, ${said}`,
    "check etcd's log",
    false,
  );
}

/** What stands in etcd is of the other kind than what we look for, mostly because -etcd-prefix names another place. */
function misplaced(code: number, said: string, key: string): Denied {
  const where = JSON.stringify(key);
  switch (code) {
    case CODES.notDirectory:
      return new Denied(
        `${where} holds a value, so that no keys can stand below it`,
        "correct -etcd-prefix, or remove that key: the network configuration belongs in the key " +
          '"config" below -etcd-prefix',
        false,
      );
    case CODES.notFile:
      return new Denied(
        `${where} is a directory and holds no value`,
        "remove it with all that is in it, or correct -etcd-prefix",
        false,
      );
    default:
      return new Denied(`etcd says "${said}"`, "correct -etcd-prefix", false);
  }
}

/** etcd gives one answer for an unknown user, a wrong password and a right that is missing. */
function unauthorized({ hasUser }: AnswerSource): Denied {
  return hasUser
    ? new Denied(
      "user or password wrong, or the user may not read and write there",
      "correct -etcd-username and -etcd-password, or give the user a role for what is below -etcd-prefix",
      false,
    )
    : new Denied("etcd asks for a user and password", "give -etcd-username and -etcd-password", false);
}

function wordOf(value: Json | undefined): string {
  return typeof value === "string" ? value.slice(0, 100) : "";
}

function numberOr(value: Json | undefined, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}

/** The keys of a range as an answer lists them, directories (without a value) too. */
export function nodesOf(range: KeyRange, { node }: BodyJson, head: AnswerHead): V2Node[] {
  if (node === undefined) return [];
  if (range.end !== null) return childrenOf(node, head, 0);
  return [toNode(node, head)];
}

/** What lies deeper than any key of ours is left out. */
function childrenOf(node: Json, head: AnswerHead, depth: number): V2Node[] {
  const nodes = isJsonObject(node) ? node["nodes"] ?? [] : null;
  if (!Array.isArray(nodes)) throw new Malformed("nodes are no list");
  if (depth === DEEPEST) return [];
  return nodes.flatMap((child: Json) => [toNode(child, head), ...childrenOf(child, head, depth + 1)]);
}

/** The node of an answer to a write or to a read of one key. */
export function nodeOf({ node }: BodyJson, head: AnswerHead): V2Node {
  return toNode(node ?? null, head);
}

function toNode(node: Json, head: AnswerHead): V2Node {
  if (!isJsonObject(node)) throw new Malformed("there is no node");
  const { key, value = "", dir, createdIndex, modifiedIndex } = node;
  if (typeof key !== "string" || typeof value !== "string") throw new Malformed("key or value is no text");
  return {
    key,
    value: dir === true ? null : value,
    createRevision: indexOf(createdIndex),
    modRevision: indexOf(modifiedIndex),
    expires: expiryOf(node, head),
  };
}

function indexOf(value: Json | undefined): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Malformed("an index is no number");
}

function expiryOf({ expiration, ttl }: JsonObject, { date, at }: AnswerHead): Instant | null {
  if (expiration === undefined) return null;
  const end = typeof expiration === "string" ? Date.parse(expiration) : NaN;
  return at + (date === null || Number.isNaN(end) ? numberOr(ttl, 0) * 1000 : end - date);
}

const DELETIONS: ReadonlySet<string> = new Set(["delete", "expire", "compareAndDelete"]);

/**
 * The change that an answer to a watch tells; null where it concerns no key of the range.
 *
 * @throws HistoryLost where a directory went with all that was in it: etcd does not say what that was
 */
export function changeOf(range: KeyRange, body: BodyJson, head: AnswerHead): WatchEvent<V2Node> | null {
  const kv = nodeOf(body, head);
  const deleted = DELETIONS.has(wordOf(body["action"]));
  if (deleted && kv.value === null) throw new HistoryLost(`the directory "${kv.key}" in etcd was removed`);
  const inside = range.end === null ? kv.key === range.key : kv.key.startsWith(range.key);
  return inside ? { type: deleted ? "delete" : "put", kv } : null;
}
