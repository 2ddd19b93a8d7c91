/**
 * A guest in this process with a shell to talk to: Debian's kernel and the
 * test userland. For tools that look into the machine while it runs, which a
 * child process would not let them.
 *
 * Relies on `debian.ts` and `initramfs.ts`; `soak.ts` and `profile.ts` rely on
 * it.
 *
 * @journey M:810 A guest under glass
 */
import { readFile } from "node:fs/promises";
import { type ConsoleBackend, type EngineKind, Machine } from "../src/index.ts";
import { nodeDecompressors } from "../src/node/decompress.ts";
import { optimiseEarly } from "../src/node/early-optimising.ts";
import { keepHeapSmall } from "../src/node/heap.ts";
import { debianAsset } from "./debian.ts";
import { initramfs, PROMPT } from "./initramfs.ts";

export interface SessionOptions {
	readonly engine: EngineKind;
	readonly memoryMiB?: number;
	/** Called before the machine starts. */
	readonly onMachine?: (machine: Machine) => void;
}

/** Collects what the guest prints; types what it is given. */
class Terminal implements ConsoleBackend {
	readonly inputOpen = true;
	onInput = () => {};
	/** What has been printed, and how much of it. */
	#printed = Buffer.alloc(1 << 16);
	#length = 0;
	#typed = new Uint8Array(0);
	#wake = () => {};

	write(bytes: Uint8Array): undefined {
		const length = this.#length + bytes.length;
		if (length > this.#printed.length) {
			this.#printed = Buffer.concat([this.#printed, Buffer.alloc(length)]);
		}
		this.#printed.set(bytes, this.#length);
		this.#length = length;
		this.#wake();
	}

	read(most: number): Uint8Array {
		const bytes = this.#typed.subarray(0, most);
		this.#typed = this.#typed.subarray(bytes.length);
		return bytes;
	}

	type(text: string): void {
		this.#typed = Buffer.concat([this.#typed, Buffer.from(text, "latin1")]);
		this.onInput();
	}

	/** What has been printed until `text`, which is taken away with it. */
	async until(text: string): Promise<string> {
		for (let from = 0; ; ) {
			const at = this.#printed.subarray(0, this.#length).indexOf(text, from);
			if (at >= 0) {
				const before = this.#printed.toString("latin1", 0, at);
				const end = at + text.length;
				this.#printed.copyWithin(0, end, this.#length);
				this.#length -= end;
				return before;
			}
			from = Math.max(0, this.#length - text.length);
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}
}

export class MachineSession {
	readonly machine: Machine;
	readonly #terminal: Terminal;
	readonly #ended: Promise<unknown>;
	#commands = 0;

	private constructor(machine: Machine, terminal: Terminal) {
		this.machine = machine;
		this.#terminal = terminal;
		this.#ended = machine.run();
	}

	/** Boots to the shell; undefined where Debian's files are not to be had. */
	static async boot(
		options: SessionOptions,
	): Promise<MachineSession | undefined> {
		keepHeapSmall();
		optimiseEarly();
		const kernel = await debianAsset("kernel-686");
		const initrd = await initramfs();
		if (kernel === undefined || initrd === undefined) return undefined;
		const terminal = new Terminal();
		const machine = await Machine.create({
			memoryBytes: (options.memoryMiB ?? 128) * 2 ** 20,
			kernel: await readFile(kernel),
			initrd: await readFile(initrd),
			commandLine: "console=ttyS0 MOUNT=dev",
			clock: "virtual",
			engine: options.engine,
			console: terminal,
			unpack: nodeDecompressors,
			breathe: () => new Promise((resolve) => setImmediate(resolve)),
		});
		options.onMachine?.(machine);
		const session = new MachineSession(machine, terminal);
		await terminal.until(PROMPT);
		return session;
	}

	/** What a command prints. */
	async run(script: string): Promise<string> {
		const mark = `@@${++this.#commands}`;
		// In two parts, so that the echo of the command is not its end.
		this.#terminal.type(`{ ${script}\n} 2>&1; echo '@@''${this.#commands}'\n`);
		const output = await this.#terminal.until(`${mark}\r\n`);
		await this.#terminal.until(PROMPT);
		return output;
	}

	async close(): Promise<void> {
		this.machine.stop();
		await this.#ended;
	}
}
