/** Overlapping prefixes, against comparing each with each. */
import { assertEquals } from "@std/assert";
import { bits, type Family } from "../../src/model/ip.ts";
import { formatPrefix, overlaps, parsePrefix, type Prefix, prefix } from "../../src/model/prefix.ts";
import { PrefixTrie } from "../../src/model/prefix_trie.ts";
import { seededRandom } from "../support/clock.ts";

const at = (text: string) => parsePrefix(text)!;

Deno.test("trie: what is around, what is the same, what is inside; of that family alone", () => {
  const trie = new PrefixTrie<string>();
  for (
    const text of [
      "10.0.0.0/8",
      "10.1.0.0/16",
      "10.1.2.0/24",
      "10.1.3.0/24",
      "10.1.2.9/32",
      "0.0.0.0/0",
      "::/0",
    ]
  ) {
    trie.add(at(text), text);
  }
  const found = (text: string) => trie.overlapping(at(text)).sort();
  assertEquals(found("10.1.2.0/24"), [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.9/32",
  ]);
  assertEquals(found("10.1.2.0/23"), [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.9/32",
    "10.1.3.0/24",
  ]);
  assertEquals(found("10.1.2.8/32"), ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"]);
  assertEquals(found("fd00::/64"), ["::/0"]);
});

Deno.test("trie: the same as comparing each with each, while prefixes come and go", () => {
  for (const [family, spread] of [[4, 6], [4, 32], [6, 8], [6, 128]] as [Family, number][]) {
    const random = seededRandom(spread);
    const trie = new PrefixTrie<number>();
    const standing = new Map<number, Prefix>();
    // Few bits make many meet; the bits are at the top, the middle or the end.
    const draw = () => {
      const length = random.int(Math.min(spread, bits(family)) + 1);
      const value = BigInt(random.int(2 ** 30)) << BigInt(bits(family) - 30);
      return prefix({ family, value }, length);
    };
    for (let n = 0; n < 3_000; n++) {
      const [gone] = random.int(3) === 0 ? standing.keys() : [];
      if (gone === undefined) {
        const drawn = draw();
        standing.set(n, drawn);
        trie.add(drawn, n);
      } else {
        trie.remove(standing.get(gone)!, gone);
        trie.remove(standing.get(gone)!, gone);
        standing.delete(gone);
      }
      if (n % 10 > 0) continue;
      const asked = draw();
      const expected = [...standing].flatMap(([value, each]) => overlaps(each, asked) ? [value] : []);
      assertEquals(trie.overlapping(asked).sort((a, b) => a - b), expected, formatPrefix(asked));
    }
  }
});

Deno.test("trie: whoever is removed leaves nothing, whatever forks it needed", () => {
  const trie = new PrefixTrie<number>();
  const random = seededRandom(5);
  const drawn = Array.from(
    { length: 500 },
    () => prefix({ family: 4, value: BigInt(random.int(2 ** 31)) }, random.int(33)),
  );
  drawn.forEach((each, n) => trie.add(each, n));
  drawn.forEach((each, n) => trie.remove(each, n));
  assertEquals(trie.overlapping(at("0.0.0.0/0")), []);
  assertEquals(trie.nodes, 2);
});
