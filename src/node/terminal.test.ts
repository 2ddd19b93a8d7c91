import type { ReadStream } from "node:tty";
import { describe, expect, it } from "vitest";
import { CtrlCCounter, RawTerminal } from "./terminal.ts";

const CTRL_C = Uint8Array.of(3);
const KEY = Uint8Array.of(0x61);

describe("Three Ctrl-C", () => {
	it("end the session when typed within a second", () => {
		const counter = new CtrlCCounter();
		expect(counter.sees(CTRL_C, 0)).toBe(false);
		expect(counter.sees(CTRL_C, 400)).toBe(false);
		expect(counter.sees(CTRL_C, 900)).toBe(true);
	});

	it("count when they arrive in one piece", () => {
		expect(new CtrlCCounter().sees(Uint8Array.of(3, 3, 3), 0)).toBe(true);
	});

	it("are nothing when typed slowly", () => {
		const counter = new CtrlCCounter();
		const seen = [0, 600, 1200, 1800].map((at) => counter.sees(CTRL_C, at));
		expect(seen).not.toContain(true);
	});

	it("are nothing with another key between them", () => {
		const counter = new CtrlCCounter();
		counter.sees(CTRL_C, 0);
		counter.sees(CTRL_C, 10);
		counter.sees(KEY, 20);
		expect(counter.sees(CTRL_C, 30)).toBe(false);
	});
});

describe("A terminal lent to a guest", () => {
	function fakeTerminal() {
		const modes: boolean[] = [];
		const input = {
			setRawMode: (raw: boolean) => modes.push(raw),
		} as unknown as ReadStream;
		return { modes, terminal: new RawTerminal(input) };
	}

	it("is raw until it is released, once", () => {
		const { modes, terminal } = fakeTerminal();
		terminal.take();
		terminal.take();
		terminal.release();
		terminal.release();
		expect(modes).toEqual([true, false]);
	});

	it("leaves no handlers behind", () => {
		const count = () =>
			process.listenerCount("exit") + process.listenerCount("SIGCONT");
		const before = count();
		const { terminal } = fakeTerminal();
		terminal.take();
		expect(count()).toBe(before + 2);
		terminal.release();
		expect(count()).toBe(before);
	});
});
