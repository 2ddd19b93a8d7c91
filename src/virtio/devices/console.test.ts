import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import type {
	Completion,
	ConsolePortBackend,
	ConsoleSize,
} from "../backends.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import {
	VIRTIO_CONSOLE_CONSOLE_PORT as CONSOLE_PORT,
	Console,
	type ConsolePortOptions,
	VIRTIO_CONSOLE_DEVICE_ADD as DEVICE_ADD,
	VIRTIO_CONSOLE_DEVICE_READY as DEVICE_READY,
	VIRTIO_CONSOLE_PORT_NAME as PORT_NAME,
	VIRTIO_CONSOLE_PORT_OPEN as PORT_OPEN,
	VIRTIO_CONSOLE_PORT_READY as PORT_READY,
	VIRTIO_CONSOLE_RESIZE as RESIZE,
	VIRTIO_CONSOLE_F_EMERG_WRITE,
	VIRTIO_CONSOLE_F_MULTIPORT,
	VIRTIO_CONSOLE_F_SIZE,
} from "./console.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);

/** A terminal in memory that can be told to be slow. */
class FakeTerminal implements ConsolePortBackend {
	printed = "";
	typed = "";
	open = false;
	slow = false;
	size: ConsoleSize | undefined;
	readonly release: (() => void)[] = [];
	onInput: () => void = () => {};
	onResize: () => void = () => {};

	write(piece: Uint8Array): Completion {
		this.printed += text(piece);
		if (!this.slow) return undefined;
		return new Promise((resolve) => {
			this.release.push(resolve);
		});
	}

	read(maxBytes: number): Uint8Array {
		const part = this.typed.slice(0, maxBytes);
		this.typed = this.typed.slice(maxBytes);
		return bytes(part);
	}

	type(what: string): void {
		this.typed += what;
		this.onInput();
	}

	onGuestOpen(open: boolean): void {
		this.open = open;
	}
}

const ALL = [
	VIRTIO_CONSOLE_F_SIZE,
	VIRTIO_CONSOLE_F_MULTIPORT,
	VIRTIO_CONSOLE_F_EMERG_WRITE,
];

function setUp(
	options: readonly ConsolePortOptions[],
	accept: readonly number[] = ALL,
) {
	const memory = new TestMemory(4 << 20);
	const model = new Console(options);
	const device = new VirtioDevice(model, memory);
	const driver = MockDriver.started(device, memory, { accept, queueSize: 16 });
	return { model, device, driver };
}

describe("a console with one port", () => {
	const single = () => {
		const terminal = new FakeTerminal();
		return { terminal, ...setUp([{ backend: terminal }]) };
	};

	it("prints what the driver sends", () => {
		const { driver, terminal } = single();
		const queue = driver.queue(1);
		queue.send(bytes("hello, "), bytes("world"));
		expect(queue.takeUsed()).toHaveLength(1);
		expect(terminal.printed).toBe("hello, world");
	});

	it("gives what is typed to the driver's buffers, in order", () => {
		const { driver, terminal } = single();
		const queue = driver.queue(0);
		terminal.type("early");
		queue.send(room(3));
		queue.send(room(16));
		terminal.type("late");
		queue.send(room(16));
		const used = queue.takeUsed();
		expect(used.map(({ writtenBytes }) => writtenBytes)).toEqual([3, 2, 4]);
		const typed = used.map((u) => text(u.written.subarray(0, u.writtenBytes)));
		expect(typed).toEqual(["ear", "ly", "late"]);
	});

	it("holds the driver back while the terminal is slow", async () => {
		const { driver, terminal, model } = single();
		terminal.slow = true;
		const queue = driver.queue(1);
		queue.offer(bytes("one "));
		queue.offer(bytes("two"));
		queue.kick();
		expect(terminal.printed).toBe("one ");
		expect(queue.takeUsed()).toEqual([]);
		expect(model.busy).toBe(true);
		terminal.slow = false;
		terminal.release[0]?.();
		await model.settle();
		expect(terminal.printed).toBe("one two");
		expect(queue.takeUsed()).toHaveLength(2);
		expect(model.busy).toBe(false);
	});

	it("prints nothing more of a buffer that a reset took away", async () => {
		const { driver, terminal, device, model } = single();
		terminal.slow = true;
		driver.queue(1).send(bytes("x".repeat(40_000)));
		device.reset();
		terminal.release[0]?.();
		await model.settle();
		expect(terminal.printed).toHaveLength(32_768);
	});

	it("prints in an emergency, before anything is set up (virtio 1.3 §5.3.5.1)", () => {
		const terminal = new FakeTerminal();
		const memory = new TestMemory();
		const model = new Console([{ backend: terminal }]);
		const device = new VirtioDevice(model, memory);
		device.writeConfig(8, Uint8Array.of(0x21, 0, 0, 0));
		expect(terminal.printed).toBe("!");
	});

	it("says how large it is, and when that changes", () => {
		const terminal = new FakeTerminal();
		terminal.size = { columns: 80, rows: 25 };
		const { driver } = setUp([{ backend: terminal }]);
		expect([...driver.side.readConfig(0, 4)]).toEqual([80, 0, 25, 0]);
		terminal.size = { columns: 300, rows: 50 };
		terminal.onResize();
		expect(driver.side.takeInterrupts().config).toBe(true);
		expect([...driver.side.readConfig(0, 4)]).toEqual([44, 1, 50, 0]);
	});

	it("asks for a reset when buffers go the wrong way or have no end", () => {
		for (const [queue, piece] of [
			[0, bytes("x")],
			[1, room(1)],
			[1, new Uint8Array((1 << 20) + 1)],
		] as const) {
			const { driver } = single();
			driver.queue(queue).send(piece);
			const status = driver.side.readStatus();
			expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
		}
	});
});

describe("a console with several ports", () => {
	function several(accept = ALL) {
		const screen = new FakeTerminal();
		screen.size = { columns: 80, rows: 25 };
		const agent = new FakeTerminal();
		const made = setUp(
			[
				{ backend: screen },
				{ backend: agent, name: "org.example.agent", console: false },
			],
			accept,
		);
		const { driver } = made;
		const tell = (id: number, event: number, value: number) => {
			const message = new Uint8Array(8);
			const view = new DataView(message.buffer);
			view.setUint32(0, id, true);
			view.setUint16(4, event, true);
			view.setUint16(6, value, true);
			driver.queue(3).send(message);
		};
		/** What the device has to say: port, event, value, body. */
		const heard = () => {
			for (let i = 0; i < 16; i++) driver.queue(2).offer(room(64));
			driver.queue(2).kick();
			return driver
				.queue(2)
				.takeUsed()
				.map(({ written, writtenBytes }) => {
					const view = new DataView(written.buffer);
					return [
						view.getUint32(0, true),
						view.getUint16(4, true),
						view.getUint16(6, true),
						...(writtenBytes > 8
							? [[...written.subarray(8, writtenBytes)]]
							: []),
					];
				});
		};
		return { ...made, screen, agent, tell, heard };
	}

	it("has two queues for each port and two for messages (virtio 1.3 §5.3.2)", () => {
		const { driver } = several();
		expect(driver.queues).toHaveLength(6);
		expect([...driver.side.readConfig(4, 4)]).toEqual([2, 0, 0, 0]);
	});

	it("adds each port once, when the driver is ready (virtio 1.3 §5.3.6.2.1)", () => {
		const { tell, heard } = several();
		tell(0, DEVICE_READY, 1);
		tell(0, DEVICE_READY, 1);
		expect(heard()).toEqual([
			[0, DEVICE_ADD, 0],
			[1, DEVICE_ADD, 0],
		]);
	});

	it("introduces a port that the driver is ready for", () => {
		const { tell, heard } = several();
		tell(0, DEVICE_READY, 1);
		tell(0, PORT_READY, 1);
		tell(1, PORT_READY, 1);
		expect(heard().slice(2)).toEqual([
			[0, CONSOLE_PORT, 1],
			[0, RESIZE, 0, [80, 0, 25, 0]],
			[0, PORT_OPEN, 1],
			[1, PORT_NAME, 1, [...bytes("org.example.agent")]],
			[1, PORT_OPEN, 1],
		]);
	});

	it("keeps input until the guest opens the port", () => {
		const { driver, tell, agent } = several();
		tell(0, DEVICE_READY, 1);
		tell(1, PORT_READY, 1);
		agent.type("knock");
		driver.queue(4).send(room(16));
		expect(driver.queue(4).takeUsed()).toEqual([]);
		tell(1, PORT_OPEN, 1);
		expect(agent.open).toBe(true);
		expect(driver.queue(4).takeUsed()[0]?.writtenBytes).toBe(5);
		tell(1, PORT_OPEN, 0);
		expect(agent.open).toBe(false);
	});

	it("keeps the ports apart", () => {
		const { driver, screen, agent } = several();
		driver.queue(1).send(bytes("to the screen"));
		driver.queue(5).send(bytes("to the agent"));
		expect([screen.printed, agent.printed]).toEqual([
			"to the screen",
			"to the agent",
		]);
	});

	it("tells the newest size, however many there were", () => {
		const { tell, heard, screen } = several();
		tell(0, DEVICE_READY, 1);
		tell(0, PORT_READY, 1);
		for (const columns of [100, 110, 120]) {
			screen.size = { columns, rows: 30 };
			screen.onResize();
		}
		const sizes = heard().filter(([, event]) => event === RESIZE);
		expect(sizes).toEqual([[0, RESIZE, 0, [120, 0, 30, 0]]]);
	});

	it("ignores messages about ports that are not there", () => {
		const { tell, heard, driver } = several();
		for (const id of [0, 2, 0xffffffff]) tell(id, PORT_READY, 1);
		tell(0, 99, 1);
		expect(heard()).toEqual([]);
		expect(driver.side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).toBe(0);
	});

	it("asks for a reset when a message has no header or no room", () => {
		const short = several();
		short.driver.queue(3).send(new Uint8Array(7));
		const cramped = several();
		cramped.driver.queue(2).send(room(4));
		cramped.tell(0, DEVICE_READY, 1);
		for (const { driver } of [short, cramped]) {
			const status = driver.side.readStatus();
			expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
		}
	});

	it("is one open port for a driver that knows of no others", () => {
		const { driver, screen, heard } = several([]);
		screen.type("x");
		driver.queue(0).send(room(4));
		expect(driver.queue(0).takeUsed()[0]?.writtenBytes).toBe(1);
		expect(heard()).toEqual([]);
	});

	it("starts afresh after a reset", () => {
		const { driver, tell, heard, agent } = several();
		tell(0, DEVICE_READY, 1);
		tell(1, PORT_OPEN, 1);
		expect(agent.open).toBe(true);
		driver.start({ accept: ALL, queueSize: 16 });
		expect(agent.open).toBe(false);
		tell(0, DEVICE_READY, 1);
		expect(heard()).toHaveLength(2);
	});
});
