/** Reading the same records again: what is as it was is the very same value, whatever came and went between. */
import { assertEquals } from "@std/assert";
import { decodeAll, encodeChanges, neighbourCodec, type Records } from "../../ffi/codec.ts";
import type { NeighbourRecord } from "../../ffi/records.ts";

/** Numbers become entries; the record's head is blank, as after a read. */
function records(numbers: readonly number[], state = 0x80): Records {
  const out = encodeChanges(
    neighbourCodec,
    numbers.map((n) => ({
      verb: "create",
      record: {
        table: "v4",
        index: 7,
        address: `10.1.${n}.0`,
        mac: `02:00:00:00:00:${n.toString(16).padStart(2, "0")}`,
        state,
        flags: 0,
        protocol: 85,
      },
    })),
  );
  numbers.forEach((_, i) => out.view.setUint32(i * neighbourCodec.size, 0, true));
  return out;
}

const first = records([1, 2, 3, 4, 5]);
const values = decodeAll(neighbourCodec, first, 5);

/** For each value of a second read, the position of the very same value in the first; -1 where it is new. */
function origins(second: Records, count: number): number[] {
  const before = { from: first, values };
  return decodeAll(neighbourCodec, second, count, before).map((v) => values.indexOf(v as NeighbourRecord));
}

for (
  const [what, numbers, expected] of [
    ["nothing changed", [1, 2, 3, 4, 5], [0, 1, 2, 3, 4]],
    ["one came", [1, 2, 9, 3, 4, 5], [0, 1, -1, 2, 3, 4]],
    ["one came first, one last", [9, 1, 2, 3, 4, 5, 8], [-1, 0, 1, 2, 3, 4, -1]],
    ["one went", [1, 3, 4, 5], [0, 2, 3, 4]],
    ["the first went", [2, 3, 4, 5], [1, 2, 3, 4]],
    ["all went", [], []],
  ] as const
) {
  Deno.test(`codec: what is as it was is the same value: ${what}`, () => {
    assertEquals(origins(records(numbers), numbers.length), [...expected]);
  });
}

Deno.test("codec: one that changed is another value, and says how it is now", () => {
  const second = records([1, 2, 3, 4, 5], 0x02);
  assertEquals(origins(second, 5), [-1, -1, -1, -1, -1]);
  const again = decodeAll(neighbourCodec, second, 5, { from: first, values });
  assertEquals(again.map((v) => [v.address, v.state]), [1, 2, 3, 4, 5].map((n) => [`10.1.${n}.0`, 2]));
});

Deno.test("codec: what lies beyond the count of the last read is not looked at", () => {
  const before = { from: first, values: values.slice(0, 2) };
  const again = decodeAll(neighbourCodec, records([1, 2, 3]), 3, before);
  assertEquals(again.map((v) => values.indexOf(v)), [0, 1, -1]);
});
