/** The checks on the project's text. */
import { assertEquals } from "@std/assert";
import { lengthProblems, longest, pathProblems } from "../../tasks/texts.ts";

Deno.test("a file of code may have 500 lines and no more; data may have any number", () => {
  const lines = (count: number) => "x\n".repeat(count);
  assertEquals(lengthProblems([{ path: "a.ts", text: lines(longest) }]), []);
  assertEquals(lengthProblems([{ path: "a.md", text: lines(longest + 1) }]), []);
  assertEquals(lengthProblems([{ path: "a.c", text: lines(longest + 1) }]).length, 1);
});

Deno.test("a path of this machine is found with its line", () => {
  const files = [{ path: "a.md", text: "run it\nin /home/somebody/denim\n" }, {
    path: "b.md",
    text: "in /run\n",
  }];
  assertEquals(pathProblems(files, ["/home/somebody"]), [
    `a.md:2: names "/home/somebody", a path of this machine`,
  ]);
});
