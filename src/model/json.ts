/** JSON values as types, and reading an object's members the way Go does: names match case-insensitively, the last wins. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: Json | undefined;
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The member called `name` in any mixture of cases; undefined where there is none. */
export function member(object: JsonObject, name: string): Json | undefined {
  const wanted = name.toLowerCase();
  let found: Json | undefined;
  for (const key of Object.keys(object)) {
    // What is the same in lower case has the same length: no other letters become these.
    if (key.length === name.length && (key === name || key.toLowerCase() === wanted)) found = object[key];
  }
  return found;
}
