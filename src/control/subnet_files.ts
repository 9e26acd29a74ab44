/** The two forms of a `SubnetFile`: a file for other programs to read, and none at all. */
import { readSubnetEnv, writeSubnetEnv } from "../files/subnet_env.ts";
import type { SubnetFile } from "./start.ts";

/** The file at `path`, with what it said when this was called. */
export async function openSubnetFile(path: string): Promise<SubnetFile> {
  const previous = await readSubnetEnv(path);
  return {
    path,
    previous,
    read: async () => {
      try {
        return await Deno.readTextFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
    write: (text) => writeSubnetEnv(path, text),
  };
}

/** Nothing is written, nothing was there. */
export function noSubnetFile(): SubnetFile {
  let text: string | null = null;
  return {
    path: "(none)",
    previous: { networks: [], subnets: { v4: null, v6: null } },
    read: () => Promise.resolve(text),
    write: (wanted) => {
      text = wanted;
      return Promise.resolve();
    },
  };
}
