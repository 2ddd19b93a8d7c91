/**
 * `--top`: the terminal shows what a guest does while it runs, on a screen of
 * its own that is gone when it ends.
 *
 * Relies on `launch` and the view; `main.ts` relies on it.
 *
 * @journey L:166 A window into the machine
 */

import { type Guest, UsageError } from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { launchGiven } from "./launch.ts";
import { descriptionOf } from "./run-options.ts";
import { topView } from "./top-view.ts";

const REFRESH_MS = 500;
const TAIL_CHARACTERS = 8192;
const CTRL_C = "\u0003";
// Private modes of xterm: another screen, no cursor; and back.
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";

/** Runs a guest to its end, or until somebody has seen enough. */
export async function topCommand(options: RunOptions): Promise<number> {
	const { stdin, stdout } = process;
	if (!stdout.isTTY || !stdin.isTTY) {
		throw new UsageError("--top needs a terminal.", {
			hint: "--stats FILE writes counters where there is none.",
		});
	}
	const guest = await launchGiven(descriptionOf(options));
	const restore = () => {
		stdin.setRawMode(false);
		stdout.write(LEAVE);
	};
	process.once("exit", restore);
	for (const name of ["SIGTERM", "SIGHUP", "SIGINT"]) {
		process.on(name, () => void guest.stop());
	}
	stdout.write(ENTER);
	stdin.setRawMode(true);
	stdin.setEncoding("latin1").on("data", (keys) => {
		const text = String(keys);
		if (text.includes("q") || text.includes(CTRL_C)) void guest.stop();
	});
	await watch(guest);
	const end = await guest.exited;
	process.off("exit", restore);
	restore();
	stdout.write(`The guest ended: ${end.kind}\n`);
	return end.kind === "triple-fault" ? 3 : 0;
}

async function watch(guest: Guest): Promise<void> {
	let ended = false;
	void guest.exited.then(() => {
		ended = true;
	});
	const tail = new Tail(guest.console.readable);
	try {
		let before = await guest.statistics();
		while (!ended) {
			await Promise.race([
				guest.exited,
				new Promise((resolve) => setTimeout(resolve, REFRESH_MS)),
			]);
			const now = await guest.statistics();
			draw(topView(before, now, tail.text, process.stdout));
			before = now;
		}
	} catch (error) {
		// Counters cannot be had of a guest that has just ended.
		if (!ended) throw error;
	}
}

/** Over what is there, so that nothing flickers: EL ends each line, ED the screen. */
function draw(lines: readonly string[]): void {
	const text = lines.map((line) => `${line}\u001b[K`).join("\r\n");
	process.stdout.write(`\u001b[H${text}\u001b[J`);
}

/** The end of what a console says. */
class Tail {
	text = "";

	constructor(console: ReadableStream<Uint8Array>) {
		void this.#follow(console);
	}

	async #follow(console: ReadableStream<Uint8Array>): Promise<void> {
		const decoder = new TextDecoder();
		const reader = console.getReader();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			const more = decoder.decode(value, { stream: true });
			this.text = (this.text + more).slice(-TAIL_CHARACTERS);
		}
	}
}
