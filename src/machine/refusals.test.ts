/** What a machine refuses before anything is made or unpacked for it. */

import { beforeEach, expect, it, vi } from "vitest";
import {
	ascii,
	fakeBzImage,
	fakeElf,
	MIB,
	pvhNote,
} from "../../test/support/kernel-images.ts";
import { watchMemories } from "../../test/support/watched-memories.ts";
import { Machine, type MachineOptions } from "./machine.ts";

const memory = watchMemories();
const unpacker = vi.fn(async () => new Uint8Array(0));
const GZIP = Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2, 3, 4);

beforeEach(() => {
	unpacker.mockClear();
});

const refusal = (options: Partial<MachineOptions>): Promise<string> =>
	Machine.create({
		memoryBytes: 64 * MIB,
		kernel: fakeBzImage(),
		unpack: { gzip: unpacker },
		console: {
			write: () => undefined,
			read: () => new Uint8Array(0),
			inputOpen: false,
			onInput: () => {},
		},
		...options,
	}).then(
		() => "accepted",
		(error: Error) => error.message,
	);

const payload = GZIP;

it.each<[string, Partial<MachineOptions>, RegExp]>([
	["what is no kernel", { kernel: ascii("x".repeat(5000)) }, /not a kernel/],
	[
		"a kernel for 64 bits only",
		{ kernel: fakeBzImage({ xloadflags: 1, payload }) },
		/64-bit only/,
	],
	[
		"a kernel that is cut short",
		{ kernel: fakeBzImage({ payload }).subarray(0, 1536) },
		/truncated/,
	],
	[
		"an initrd larger than memory",
		{ kernel: fakeBzImage({ payload }), initrd: new Uint8Array(65 * MIB) },
		/initrd of 65 MiB does not fit.*64 MiB/,
	],
	[
		"an initrd with no room beside the kernel",
		{
			kernel: fakeBzImage({ payload, prefAddress: MIB, initSize: 40 * MIB }),
			initrd: new Uint8Array(30 * MIB),
		},
		/needs the memory up to 41 MiB/,
	],
	[
		"an initrd that this kernel cannot reach",
		{
			kernel: fakeBzImage({ payload, initrdAddrMax: 8 * MIB - 1 }),
			initrd: new Uint8Array(9 * MIB),
		},
		/too large for this kernel/,
	],
])(
	"refuses %s before it makes or unpacks anything",
	async (_, options, what) => {
		expect(await refusal(options)).toMatch(what);
		expect(memory).not.toHaveBeenCalled();
		expect(unpacker).not.toHaveBeenCalled();
	},
);

it("looks into what is packed as a whole before it says anything", async () => {
	expect(await refusal({ kernel: GZIP })).toMatch(/empty/);
	expect(unpacker).toHaveBeenCalledOnce();
});

it("does not judge a packed initrd by its size", async () => {
	const initrd = new Uint8Array(65 * MIB);
	initrd.set(GZIP);
	const options = { initrd, initrdPacking: "gzip" } as const;
	expect(await refusal(options)).toBe("accepted");
	expect(unpacker).toHaveBeenCalledOnce();
});

it("takes an initrd that just fits, for Linux and for PVH", async () => {
	const place = { prefAddress: MIB, initSize: 2 * MIB };
	const linux = fakeBzImage({ ...place, relocatable: false });
	const pvh = fakeElf({
		segments: [{ physicalAddress: MIB, data: new Uint8Array(2 * MIB) }],
		notes: [pvhNote(MIB)],
	});
	for (const kernel of [linux, pvh]) {
		const options = { kernel, unpack: {} };
		const fits = { ...options, initrd: new Uint8Array(61 * MIB) };
		expect(await refusal(fits)).toBe("accepted");
		memory.mockClear();
		const large = { ...options, initrd: new Uint8Array(61 * MIB + 1) };
		expect(await refusal(large)).toMatch(/does not fit/);
		expect(memory).not.toHaveBeenCalled();
	}
});
