import { describe, expect, it } from "vitest";
import {
	debugExitCode,
	multibootImage,
} from "../../test/boot/multiboot-image.ts";
import { assemble, type GuestSurroundings } from "./assemble.ts";

const MIB = 1 << 20;
const EXIT_PORT = 0xf4;
/** mov al, 6; mov edx, 0cf9h; out dx, al; jmp $ */
const RESET = [0xb0, 6, 0xba, 0xf9, 0x0c, 0, 0, 0xee, 0xeb, 0xfe];

/** A console that nobody looks at. */
const CONSOLE = {
	inputOpen: false,
	onInput: () => {},
	write: () => undefined,
	read: () => new Uint8Array(0),
};

describe("a restart", () => {
	it("finds tidied up before kernel and initrd are read again", async () => {
		const told: string[] = [];
		const kernels = [
			multibootImage(RESET),
			multibootImage(debugExitCode(EXIT_PORT, 0)),
		];
		const surroundings: GuestSurroundings = {
			decompressors: {},
			readBytes: async (address, role) => {
				told.push(`${role} ${address}`);
				return kernels.shift() as Uint8Array;
			},
			canReadAgain: () => true,
			openDisk: () => Promise.reject(new Error("no disks here")),
			breathe: async () => {},
			tidy: () => told.push("tidy"),
		};
		const { machine, close } = await assemble(
			{ kernel: "k", memoryBytes: 8 * MIB, debugExitPort: EXIT_PORT },
			surroundings,
			{ console: CONSOLE, onProgress: () => {} },
		);
		expect(await machine.run()).toMatchObject({ kind: "debug-exit" });
		await close();
		expect(told).toEqual(["kernel k", "tidy", "kernel k"]);
	});
});
