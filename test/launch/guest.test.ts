/**
 * The library's promises that need no Linux: guests of a few bytes of code are
 * launched, read, typed at, paused, stopped and crashed through the package as
 * its users import it. Relies on the built package.
 */

import {
	type Guest,
	GuestFailure,
	type LaunchOptions,
	UsageError,
} from "lguest";
import { launch } from "lguest/node";
import { describe, expect, it, vi } from "vitest";
import {
	debugExitCode,
	greeterCode,
	multibootImage,
	tripleFaultCode,
} from "../boot/multiboot-image.ts";

vi.setConfig({ testTimeout: 60_000 });

/** Reads a key by polling LSR and sends it back, for ever. */
const ECHO = [
	...[0xba, 0xf9, 0x03, 0, 0, 0xb0, 0x01, 0xee], // IER: listen
	...[0xba, 0xfd, 0x03, 0, 0], // wait: LSR
	...[0xfb, 0xec, 0xa8, 0x01, 0x74, 0xf6], // sti; in; test 1; jz wait
	...[0xba, 0xf8, 0x03, 0, 0, 0xec, 0xee], // in, out
	...[0xeb, 0xec],
];

/** Prints all bytes in turn, for ever. */
const CHATTER = [
	...[0x66, 0xba, 0xf8, 0x03], // mov dx, 0x3f8
	...[0xfe, 0xc0, 0xee, 0xeb, 0xfb], // inc al; out dx, al; jmp to the inc
];

function small(code: readonly number[]): LaunchOptions {
	return { kernel: multibootImage(code), memoryBytes: 8 << 20 };
}

async function readText(
	readable: ReadableStream<Uint8Array>,
	until: string,
): Promise<string> {
	const reader = readable.getReader();
	let text = "";
	try {
		while (!text.includes(until)) {
			const { done, value } = await reader.read();
			if (done) break;
			text += new TextDecoder("latin1").decode(value);
		}
	} finally {
		reader.releaseLock();
	}
	return text;
}

const PROGRESS_MS = 300;

/** Instructions that the guest executes in a while. */
async function progress(guest: Guest): Promise<number> {
	const before = await guest.statistics();
	await new Promise((resolve) => setTimeout(resolve, PROGRESS_MS));
	const after = await guest.statistics();
	return after.instructionsRetired - before.instructionsRetired;
}

describe("A launched guest", () => {
	it("is told of from the first byte that is read to its booting", async () => {
		const before: string[] = [];
		const after: string[] = [];
		const guest = await launch({
			...small(greeterCode("x")),
			onProgress: ({ activity }) => before.push(activity),
		});
		guest.on("progress", ({ activity }) => after.push(activity));
		await readText(guest.console.readable, "x");
		await guest.stop();
		expect(before).toEqual(["making the machine", "booting"]);
		expect(after).toEqual(["booting"]);
	});

	it("prints to console.readable, which ends with the guest", async () => {
		await using guest = await launch(small(greeterCode("hello")));
		expect(await readText(guest.console.readable, "hello")).toBe("hello");
		await guest.stop();
		expect(await readText(guest.console.readable, "never")).toBe("");
	});

	it("has a balloon if it was given one, and tells how it stands", async () => {
		const options = small(greeterCode("hello"));
		await using guest = await launch({ ...options, balloonBytes: 1 << 20 });
		guest.resizeBalloon(2 << 20);
		// Nobody in this guest drives it.
		expect(await guest.balloonState()).toEqual({
			...{ targetBytes: 2 << 20, returnedBytes: 0, actualBytes: 0 },
			...{ reportedBytes: 0, hintedBytes: 0, guest: undefined },
		});
		expect(await guest.balloonHints()).toBeUndefined();
		expect(() => guest.resizeBalloon(-1)).toThrow(UsageError);
		await using plain = await launch(options);
		plain.resizeBalloon(1 << 20);
		expect(await plain.balloonState()).toBeUndefined();
		expect(await plain.balloonHints()).toBeUndefined();
	});

	it("keeps what it printed before anybody read, also after its end", async () => {
		const guest = await launch(small(greeterCode("early bird")));
		await new Promise((resolve) => setTimeout(resolve, 500));
		expect(await guest.stop()).toEqual({ kind: "stopped" });
		expect(await readText(guest.console.readable, "?")).toBe("early bird");
	});

	it("reads what is written to console.writable", async () => {
		await using guest = await launch(small(ECHO));
		const writer = guest.console.writable.getWriter();
		await writer.write(Uint8Array.of(0, 255, 13, 10));
		await writer.write(new TextEncoder().encode("ende"));
		const text = await readText(guest.console.readable, "ende");
		expect(text).toBe("\u0000\u00ff\r\nende");
	});

	it("ends with the value of its debug exit", async () => {
		const options = small(debugExitCode(0xf4, 42));
		const guest = await launch({ ...options, debugExitPort: 0xf4 });
		expect(await guest.exited).toEqual({ kind: "debug-exit", value: 42 });
	});

	it("ends with a report when it crashes", async () => {
		const { code, faultAddress } = tripleFaultCode();
		const guest = await launch(small(code));
		const end = await guest.exited;
		expect(end).toMatchObject({
			kind: "triple-fault",
			report: { rip: BigInt(faultAddress) },
		});
	});

	it("is held back by a reader who is slow, and loses nothing", async () => {
		await using guest = await launch(small(CHATTER));
		const reader = guest.console.readable.getReader();
		let last = (await reader.read()).value?.at(-1) ?? 0;
		let seen = 0;
		let wrong = 0;
		await expect.poll(() => progress(guest)).toBe(0);
		while (seen < 1 << 20) {
			const { value = new Uint8Array(0) } = await reader.read();
			for (const byte of value) {
				if (byte !== ((last + 1) & 0xff)) wrong++;
				last = byte;
			}
			seen += value.length;
		}
		expect(wrong).toBe(0);
	});

	it("stands still between pause and resume, and its clock with it", async () => {
		await using guest = await launch(small(greeterCode("!")));
		await readText(guest.console.readable, "!");
		const before = await guest.statistics();
		await guest.pause();
		expect(await progress(guest)).toBe(0);
		guest.resume();
		await expect.poll(() => progress(guest)).toBeGreaterThan(0);
		const after = await guest.statistics();
		const wall = after.wallSeconds - before.wallSeconds;
		const own = after.guestSeconds - before.guestSeconds;
		expect(wall - own).toBeGreaterThan((0.9 * PROGRESS_MS) / 1000);
	});

	it("can be stopped while it is paused, and twice", async () => {
		const guest = await launch(small(greeterCode("!")));
		await guest.pause();
		expect(await Promise.all([guest.stop(), guest.stop()])).toEqual([
			{ kind: "stopped" },
			{ kind: "stopped" },
		]);
		await expect(guest.statistics()).rejects.toThrow("The guest has ended");
	});

	it("stops when its signal aborts", async () => {
		const controller = new AbortController();
		const { signal } = controller;
		const guest = await launch({ ...small(greeterCode("!")), signal });
		controller.abort();
		expect(await guest.exited).toEqual({ kind: "stopped" });
	});
});

describe("launch rejects", () => {
	it("a kernel that is none, with an error of the right class and a hint", async () => {
		const error = await launch({ kernel: new Uint8Array(4096) }).catch(
			(error) => error,
		);
		expect(error).toBeInstanceOf(UsageError);
		expect(error).not.toBeInstanceOf(GuestFailure);
		expect(error.message).toMatch(/kernel/);
		expect(error.hint).toMatch(/./);
	});

	it("a kernel that does not exist, naming it", async () => {
		const launched = launch({ kernel: "/no/such/kernel" });
		await expect(launched).rejects.toThrow(/\/no\/such\/kernel/);
		await expect(launched).rejects.toBeInstanceOf(UsageError);
	});

	it("a disk that does not exist", async () => {
		const disks = [{ source: "/no/such/disk" }];
		const launched = launch({ ...small(ECHO), disks });
		await expect(launched).rejects.toThrow(/\/no\/such\/disk/);
	});

	it("to keep in a file what is written to a disk that is none", async () => {
		const disks = [{ source: new Uint8Array(512), overlay: "/tmp/changes" }];
		const launched = launch({ ...small(ECHO), disks });
		await expect(launched).rejects.toBeInstanceOf(UsageError);
		await expect(launched).rejects.toThrow(/disk of bytes/);
	});

	it("a network card's address that is many cards'", async () => {
		const nets = [
			{ kind: "switch", name: "t", mac: "03:00:00:00:00:01" },
		] as const;
		const launched = launch({ ...small(ECHO), nets });
		await expect(launched).rejects.toBeInstanceOf(UsageError);
		await expect(launched).rejects.toThrow(/"03:00:00:00:00:01"/);
	});

	it("more memory than there can be", async () => {
		const launched = launch({ ...small(ECHO), memoryBytes: 2 ** 40 });
		await expect(launched).rejects.toBeInstanceOf(UsageError);
	});

	it("with the signal's reason, before and during the launch", async () => {
		const reason = new Error("changed my mind");
		const aborted = AbortSignal.abort(reason);
		await expect(launch({ ...small(ECHO), signal: aborted })).rejects.toBe(
			reason,
		);
		const controller = new AbortController();
		const launched = launch({ ...small(ECHO), signal: controller.signal });
		controller.abort(reason);
		await expect(launched).rejects.toBe(reason);
	});
});

describe("Guests in one process", () => {
	it("answer, seven of them, while one spins", async () => {
		const spinning = await launch(small(greeterCode("spinning")));
		const guests = await Promise.all(
			Array.from({ length: 7 }, () => launch(small(ECHO))),
		);
		const answersMs: number[] = [];
		for (const [index, guest] of guests.entries()) {
			const writer = guest.console.writable.getWriter();
			const started = performance.now();
			await writer.write(new TextEncoder().encode(`guest ${index}`));
			const text = await readText(guest.console.readable, `guest ${index}`);
			expect(text).toBe(`guest ${index}`);
			answersMs.push(performance.now() - started);
		}
		console.log(`slowest answer: ${Math.max(...answersMs).toFixed(0)} ms`);
		await Promise.all([spinning, ...guests].map((guest) => guest.stop()));
	});

	it("give their memory back when they are stopped", async () => {
		const size = 64 << 20;
		const before = process.memoryUsage.rss();
		for (let round = 0; round < 6; round++) {
			const guest = await launch({
				...small([
					...[0xbf, 0, 0, 0x20, 0], // mov edi, 2 MiB
					...[0xb9, 0, 0, 0xe0, 0], // mov ecx, 14 Mi words
					...[0xb0, 1, 0xf3, 0xab], // mov al, 1; rep stosd
					...greeterCode("full"),
				]),
				memoryBytes: size,
			});
			expect(await readText(guest.console.readable, "full")).toContain("full");
			await guest.stop();
		}
		// Six guests filled 56 MiB each; what is left is less than two of them.
		expect(process.memoryUsage.rss() - before).toBeLessThan(2 * size);
	});
});
