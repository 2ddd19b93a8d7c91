/**
 * A guest's shell behind a terminal on a page, whichever browser the page is
 * in: what is typed at it and what it prints. The browsers' drivers rely on it.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../scripts/sources.ts";

/** How the default guest's shell prompts. */
export const PROMPT = "root@lguest:~#";
export const MINUTE = 60_000;
export const hasDefaultGuest = existsSync(
	join(projectRoot, "guests/default/vmlinuz"),
);

export abstract class GuestShell {
	#commands = 0;

	/** All that its terminal shows. */
	abstract text(): Promise<string>;

	/** Waits until its terminal shows `text`. */
	abstract shows(text: string): Promise<void>;

	/** Types at whatever has the keyboard in the terminal. */
	abstract type(text: string): Promise<void>;

	/** Runs a command at the prompt; the value is what it prints. */
	async run(command: string): Promise<string> {
		const number = ++this.#commands;
		// Cut by quotes, what is typed does not look like what is printed.
		await this.type(
			`echo "be"gin-${number}; ${command}; echo "e"nd-${number}-$?-\n`,
		);
		await this.shows(`end-${number}-`);
		const text = await this.text();
		const begin = `begin-${number}\n`;
		const from = text.lastIndexOf(begin) + begin.length;
		const to = text.lastIndexOf(`end-${number}-`);
		const status = /^end-\d+-(\d+)-/.exec(text.slice(to))?.[1];
		const output = text.slice(from, to);
		if (status === "0") return output;
		throw new Error(`"${command}" ended with ${status}: ${output}`);
	}
}
