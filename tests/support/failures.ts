/** What failed, from the report of `deno test --junit-path`. Pure. */

export interface Failed {
  readonly name: string;
  /** The error's own words, such as `Uncaught AssertionError: Values are not equal: …`. */
  readonly message: string;
}

/** Steps count like tests. */
export function failuresIn(xml: string): Failed[] {
  const cases = xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs);
  return [...cases].flatMap(([, name = "", body = ""]) => {
    const message = /<failure message="([^"]*)"/.exec(body)?.[1];
    return message === undefined ? [] : [{ name: plain(name), message: plain(message) }];
  });
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function plain(escaped: string): string {
  return escaped.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity) => ENTITIES[entity]!);
}
