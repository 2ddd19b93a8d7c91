import { expect, it } from "vitest";
import { FakeDisk } from "../../test/support/fake-disk.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { orderedDisk } from "./ordered-disk.ts";

it("answers in the order of the questions, failures too", async () => {
	const slow = new FakeDisk(1 << 20);
	const disk = orderedDisk(slow);
	const answers: string[] = [];
	const ask = (name: string, done: Promise<void> | undefined) =>
		done?.then(
			() => answers.push(name),
			() => answers.push(`${name} failed`),
		);
	const asked = [
		ask("first", disk.write(0, new Uint8Array(512))),
		ask("second", disk.read(0, new Uint8Array(512))),
		ask("third", disk.flush()),
	];
	await slow.pending[2]?.succeed();
	await slow.pending[1]?.fail();
	expect(answers).toEqual([]);
	await slow.pending[0]?.succeed();
	await Promise.all(asked);
	expect(answers).toEqual(["first", "second failed", "third"]);
	expect(slow.log).toEqual(["write 0+512", "read 0+512", "flush"]);
});

it("answers at once where the disk does", () => {
	const disk = orderedDisk(new MemoryDisk(1 << 20));
	expect(disk.write(0, new Uint8Array(512))).toBeUndefined();
	expect(disk.discard?.(0, 512)).toBeUndefined();
	expect(disk.unmaps).toBe(true);
});
