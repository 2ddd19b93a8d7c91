/** What the classic Launcher refuses before anything is made or unpacked for it. */

import { beforeEach, expect, it, vi } from "vitest";
import {
	ascii,
	fakeBzImage,
	fakeElf,
	MIB,
} from "../../../test/support/kernel-images.ts";
import { watchMemories } from "../../../test/support/watched-memories.ts";
import { LguestMachine } from "./lguest-machine.ts";

const memory = watchMemories();
const unpacker = vi.fn(async () => vmlinux("nobody"));
const GZIP = Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2, 3, 4);

beforeEach(() => {
	unpacker.mockClear();
});

/** Two MiB of a Linux that calls its Guest code so, at 1 MiB. */
function vmlinux(name: string, version = "3.2.0"): Uint8Array {
	const data = new Uint8Array(2 * MIB);
	data.set(ascii(`\0Linux version ${version} (me)\n\0${name}\0`));
	return fakeElf({
		entry: MIB,
		segments: [{ physicalAddress: MIB, data }],
	});
}

const refusal = (
	kernel: Uint8Array,
	memoryMib = 16,
	initrd?: Uint8Array,
): Promise<string> =>
	LguestMachine.create({
		memoryBytes: memoryMib * MIB,
		kernel,
		...(initrd && { initrd }),
		console: {
			write: () => undefined,
			read: () => new Uint8Array(0),
			onInput: () => {},
			inputOpen: false,
		},
		unpack: { gzip: unpacker },
		breathe: async () => {},
	}).then(
		() => "accepted",
		(error: Error) => error.message,
	);

it.each<[string, RegExp, Parameters<typeof refusal>]>([
	["no kernel", /not a kernel/, [ascii("x".repeat(5000))]],
	["a kernel that knows no lguest", /CONFIG_LGUEST/, [vmlinux("nobody")]],
	["one of another age", /Linux 4\.4/, [vmlinux("lguest", "4.4.0")]],
	[
		"one for amd64",
		/amd64/,
		[fakeBzImage({ xloadflags: 1, payload: GZIP, version: "3.2" })],
	],
	["a kernel with no room", /more memory than 2 MiB/, [vmlinux("lguest"), 2]],
	[
		"an initrd with no room beside it",
		/more memory than 16 MiB/,
		[vmlinux("lguest"), 16, new Uint8Array(13 * MIB + 1)],
	],
	[
		"an initrd larger than memory, whatever the kernel is",
		/more memory than 16 MiB/,
		[GZIP, 16, new Uint8Array(16 * MIB)],
	],
	["too much memory", /cannot have 881 MiB/, [vmlinux("lguest"), 881]],
])("refuses %s at once", async (_, what, files) => {
	expect(await refusal(...files)).toMatch(what);
	expect(memory).not.toHaveBeenCalled();
	expect(unpacker).not.toHaveBeenCalled();
});

it("refuses a packed kernel when it has looked into it", async () => {
	expect(await refusal(GZIP)).toMatch(/CONFIG_LGUEST/);
	expect(unpacker).toHaveBeenCalledOnce();
});

it("takes a kernel and an initrd that just fit", async () => {
	const initrd = new Uint8Array(13 * MIB);
	expect(await refusal(vmlinux("lguest"), 16, initrd)).toBe("accepted");
});
