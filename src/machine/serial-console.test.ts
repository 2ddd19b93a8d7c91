import { describe, expect, it } from "vitest";
import { TestClock } from "../chipset/test-clock.ts";
import { Uart16550 } from "../chipset/uart-16550.ts";
import { type ConsoleBackend, SerialConsole } from "./serial-console.ts";

const RECEIVE = 0;
const IER = 1;
const FCR = 2;
const LISTEN = 0x01;
const FIFO_ON = 0x01;
const FIFO_CLEAR = 0x02;

class FakeTerminal implements ConsoleBackend {
	onInput = () => {};
	inputOpen = true;
	typed: number[] = [];
	printed: string[] = [];
	slow: Promise<void> | undefined;

	write(bytes: Uint8Array): Promise<void> | undefined {
		this.printed.push(String.fromCharCode(...bytes));
		return this.slow;
	}

	read(maxBytes: number): Uint8Array {
		return Uint8Array.from(this.typed.splice(0, maxBytes));
	}
}

function setUp() {
	const terminal = new FakeTerminal();
	const uart = new Uart16550(new TestClock(), { set: () => {} });
	const console = new SerialConsole(terminal);
	console.plugInto(uart);
	return { terminal, uart, console };
}

const transmit = (uart: Uart16550, text: string) => {
	for (const char of text) uart.write(0, char.charCodeAt(0));
};

describe("The serial console", () => {
	it("hands output over in one piece", async () => {
		const { terminal, uart, console } = setUp();
		transmit(uart, "hello");
		expect(terminal.printed).toEqual([]);
		await console.flush();
		expect(terminal.printed).toEqual(["hello"]);
		await console.flush();
		expect(terminal.printed).toEqual(["hello"]);
	});

	it("loses nothing of what is more than its buffer", async () => {
		const { terminal, uart, console } = setUp();
		const text = "0123456789abcdef".repeat(3000);
		transmit(uart, text);
		await console.flush();
		expect(terminal.printed.join("")).toBe(text);
	});

	it("holds the guest back while the reader is slow", async () => {
		const { terminal, uart, console } = setUp();
		let drain = () => {};
		terminal.slow = new Promise((resolve) => {
			drain = resolve;
		});
		transmit(uart, "x");
		let flushed = false;
		const flushing = console.flush().then(() => {
			flushed = true;
		});
		await Promise.resolve();
		expect(flushed).toBe(false);
		drain();
		await flushing;
	});

	it("leaves typed bytes with the embedder until the guest listens", () => {
		const { terminal, uart, console } = setUp();
		terminal.typed = [1, 2, 3];
		console.expectInput();
		console.feed();
		expect(terminal.typed).toEqual([1, 2, 3]);
		uart.write(IER, LISTEN);
		console.feed();
		expect(terminal.typed).toEqual([]);
		expect(uart.read(RECEIVE)).toBe(1);
	});

	it("loses nothing to a driver that clears the FIFO after it began to listen", () => {
		const { terminal, uart, console } = setUp();
		terminal.typed = [1, 2, 3];
		console.expectInput();
		uart.write(IER, LISTEN);
		uart.write(FCR, FIFO_ON);
		uart.write(FCR, FIFO_ON | FIFO_CLEAR);
		console.feed();
		expect([1, 2, 3].map(() => uart.read(RECEIVE))).toEqual([1, 2, 3]);
	});

	it("passes any amount on, in order, as fast as the guest reads", () => {
		const { terminal, uart, console } = setUp();
		const all = Array.from({ length: 1000 }, (_, i) => i & 0xff);
		terminal.typed = [...all];
		uart.write(FCR, FIFO_ON);
		uart.write(IER, LISTEN);
		console.expectInput();
		console.feed();
		expect(terminal.typed.length).toBeGreaterThan(900);
		expect(all.map(() => uart.read(RECEIVE))).toEqual(all);
	});

	it("passes on what is typed later", () => {
		const { terminal, uart, console } = setUp();
		uart.write(IER, LISTEN);
		terminal.typed = [42];
		console.expectInput();
		console.feed();
		expect(uart.read(RECEIVE)).toBe(42);
	});
});
