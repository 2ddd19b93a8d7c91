import { describe, expect, it } from "vitest";
import { PortBus } from "./bus.ts";
import { TestClock } from "./test-clock.ts";
import { MSR_CTS, MSR_DCD, MSR_DSR, MSR_RI, Uart16550 } from "./uart-16550.ts";

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];
const THR = RBR;
const FCR = IIR;

const text = (s: string) => Uint8Array.from(s, (c) => c.charCodeAt(0));

function setUp() {
	const clock = new TestClock();
	const ports = new PortBus();
	const irq = { level: false, rises: 0 };
	const uart = new Uart16550(clock, {
		set(level) {
			if (level && !irq.level) irq.rises++;
			irq.level = level;
		},
	});
	uart.attach(ports);
	let sent = "";
	uart.onTransmit = (byte) => {
		sent += String.fromCharCode(byte);
	};
	return {
		clock,
		uart,
		irq,
		out: (register: number, value: number) =>
			ports.write(0x3f8 + register, 1, value),
		in: (register: number) => ports.read(0x3f8 + register, 1),
		sent: () => sent,
	};
}

/** A driver that listens: OUT2 on, FIFO with trigger at 8, DR and error interrupts. */
function listening() {
	const port = setUp();
	port.out(MCR, 0x0b);
	port.out(FCR, 0x81);
	port.out(IER, 0x05);
	return port;
}

describe("Uart16550 as Linux's autoconfig finds it", () => {
	it("keeps four bits of IER and no more (no sleep mode, no XScale bits)", () => {
		const port = setUp();
		port.out(IER, 0);
		expect(port.in(IER)).toBe(0);
		port.out(IER, 0xff);
		expect(port.in(IER)).toBe(0x0f);
	});

	it("loops RTS and OUT2 to CTS and DCD in loopback", () => {
		const port = setUp();
		port.out(MCR, 0x1a);
		expect(port.in(MSR) & 0xf0).toBe(0x90);
	});

	it("is a 16550A: FIFO bits in IIR only while enabled, never bit 5", () => {
		const port = setUp();
		expect(port.in(IIR)).toBe(0x01);
		port.out(FCR, 0x01);
		expect(port.in(IIR)).toBe(0xc1);
		port.out(LCR, 0x80);
		port.out(FCR, 0x21);
		expect(port.in(IIR)).toBe(0xc1);
		port.out(FCR, 0x00);
		expect(port.in(IIR)).toBe(0x01);
	});

	it("has no enhanced feature register behind LCR 0xBF", () => {
		const port = setUp();
		port.out(FCR, 0x01);
		port.out(LCR, 0xbf);
		expect(port.in(FCR)).not.toBe(0);
	});

	it("keeps scratch, LCR and the divisor apart from data and IER", () => {
		const port = setUp();
		port.out(SCR, 0x5a);
		port.out(LCR, 0x83);
		port.out(0, 0x01);
		port.out(1, 0x02);
		expect([port.in(0), port.in(1), port.in(LCR)]).toEqual([1, 2, 0x83]);
		port.out(LCR, 0x03);
		expect([port.in(IER), port.in(SCR)]).toEqual([0, 0x5a]);
		expect(port.sent()).toBe("");
		expect(port.uart.divisor).toBe(0x201);
	});
});

describe("Uart16550 transmitting", () => {
	it("sends at once and is always ready", () => {
		const port = setUp();
		for (const byte of text("hi")) {
			expect(port.in(LSR)).toBe(0x60);
			port.out(THR, byte);
		}
		expect(port.sent()).toBe("hi");
	});

	it("interrupts when THRI is enabled while empty, again and again (Linux's THRE test)", () => {
		const port = setUp();
		port.out(MCR, 0x08);
		port.out(IER, 0x02);
		expect(port.irq.level).toBe(true);
		expect(port.in(IIR)).toBe(0x02);
		expect(port.irq.level).toBe(false);
		expect(port.in(IIR)).toBe(0x01);
		port.out(IER, 0x00);
		port.out(IER, 0x02);
		expect(port.in(IIR)).toBe(0x02);
	});

	it("interrupts again for each load written, until THRI is turned off", () => {
		const port = setUp();
		port.out(MCR, 0x08);
		port.out(IER, 0x02);
		port.in(IIR);
		port.out(THR, 0x41);
		expect(port.irq.level).toBe(true);
		expect(port.irq.rises).toBe(2);
		port.out(THR, 0x42);
		expect(port.irq.rises).toBe(3);
		port.out(IER, 0x00);
		expect(port.irq.level).toBe(false);
	});

	it("keeps its interrupt off the bus until OUT2 connects it", () => {
		const port = setUp();
		port.out(IER, 0x02);
		expect(port.irq.level).toBe(false);
		port.out(MCR, 0x08);
		expect(port.irq.level).toBe(true);
	});
});

describe("Uart16550 receiving", () => {
	it("interrupts at the trigger level, until the FIFO is below it", () => {
		const port = listening();
		port.uart.receive(text("1234567"));
		expect(port.irq.level).toBe(false);
		port.uart.receive(text("8"));
		expect(port.irq.level).toBe(true);
		expect(port.in(IIR)).toBe(0xc4);
		expect(port.in(RBR)).toBe(0x31);
		expect(port.irq.level).toBe(false);
	});

	it("signals a quiet line after four character times (data sheet, FIFO time-out)", () => {
		const port = listening();
		port.out(LCR, 0x80);
		port.out(0, 1);
		port.out(1, 0);
		port.out(LCR, 0x03);
		port.uart.receive(text("x"));
		port.clock.run(340_000);
		expect(port.in(IIR)).toBe(0xc1);
		port.clock.run(10_000);
		expect(port.irq.level).toBe(true);
		expect(port.in(IIR)).toBe(0xcc);
		expect(port.in(LSR) & 1).toBe(1);
		expect(port.in(RBR)).toBe(0x78);
		expect(port.irq.level).toBe(false);
		expect(port.in(LSR)).toBe(0x60);
		expect(port.clock.nextDeadline()).toBeUndefined();
	});

	it("takes 16 characters, refuses the rest, and asks for it when empty", () => {
		const port = listening();
		const input = text("abcdefghijklmnopqrstuvwxyz");
		let offered = port.uart.receive(input);
		expect(offered).toBe(16);
		port.uart.onReceiveSpace = () => {
			offered += port.uart.receive(input.subarray(offered));
		};
		let read = "";
		while (port.in(LSR) & 1) read += String.fromCharCode(port.in(RBR));
		expect(read).toBe("abcdefghijklmnopqrstuvwxyz");
	});

	it("holds one character without the FIFO and interrupts for it", () => {
		const port = setUp();
		port.out(MCR, 0x08);
		port.out(IER, 0x01);
		expect(port.uart.receive(text("ab"))).toBe(1);
		expect(port.in(IIR)).toBe(0x04);
		expect(port.in(RBR)).toBe(0x61);
		expect(port.in(IIR)).toBe(0x01);
	});

	it("says when the guest begins to listen, so that a pipe can wait", () => {
		const port = setUp();
		let calls = 0;
		port.uart.onReceiveSpace = () => calls++;
		expect(port.uart.listening).toBe(false);
		port.out(IER, 0x05);
		expect(port.uart.listening).toBe(true);
		expect(calls).toBe(1);
	});

	it("offers the space that a FIFO clear made after a refusal", () => {
		const port = setUp();
		let calls = 0;
		port.uart.onReceiveSpace = () => calls++;
		port.uart.receive(text("early"));
		port.out(FCR, 0x07);
		expect(calls).toBe(1);
		expect(port.in(LSR) & 1).toBe(0);
	});

	it("reports a break with its null character, as the most urgent cause", () => {
		const port = listening();
		port.uart.receive(text("a"));
		port.uart.receiveBreak();
		expect(port.in(LSR)).toBe(0xe1);
		port.in(RBR);
		expect(port.irq.level).toBe(true);
		expect(port.in(IIR)).toBe(0xc6);
		expect(port.in(LSR)).toBe(0xf1);
		expect(port.in(LSR)).toBe(0x61);
		expect(port.in(RBR)).toBe(0);
	});
});

describe("Uart16550 in loopback and at the modem lines", () => {
	it("receives what it sends, keeps it inside and shuts the outside off", () => {
		const port = setUp();
		port.out(FCR, 0x01);
		port.out(MCR, 0x18);
		port.out(THR, 0x55);
		expect(port.sent()).toBe("");
		expect(port.uart.receive(text("x"))).toBe(0);
		expect(port.in(LSR) & 1).toBe(1);
		expect(port.in(RBR)).toBe(0x55);
		let calls = 0;
		port.uart.onReceiveSpace = () => calls++;
		port.out(MCR, 0x08);
		expect(calls).toBe(1);
	});

	it("overruns in loopback: the new character is lost and OE set until read", () => {
		const port = setUp();
		port.out(MCR, 0x10);
		port.out(THR, 0x31);
		port.out(THR, 0x32);
		expect(port.in(LSR)).toBe(0x63);
		expect(port.in(LSR)).toBe(0x61);
		expect(port.in(RBR)).toBe(0x31);
	});

	it("latches changes of the modem inputs until MSR is read, and interrupts", () => {
		const port = setUp();
		port.out(MCR, 0x08);
		port.out(IER, 0x08);
		port.uart.setModemInputs(MSR_DSR | MSR_DCD);
		expect(port.irq.level).toBe(true);
		expect(port.in(IIR)).toBe(0x00);
		expect(port.in(MSR)).toBe(0xa1);
		expect(port.in(MSR)).toBe(0xa0);
		expect(port.irq.level).toBe(false);
		port.uart.setModemInputs(MSR_DSR | MSR_DCD | MSR_RI | MSR_CTS);
		expect(port.in(MSR)).toBe(0xf1);
		port.uart.setModemInputs(MSR_DSR | MSR_DCD | MSR_CTS);
		expect(port.in(MSR)).toBe(0xb4);
	});
});
