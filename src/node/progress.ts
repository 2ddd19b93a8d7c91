/**
 * One line on the terminal that says what takes so long. It appears only if
 * something does, and is wiped before anything else is printed; into files and
 * pipes it never gets.
 *
 * Relies on Node's stderr; loading relies on it.
 *
 * @journey L:124 Please wait
 */

/** As much of a terminal as is needed. */
export interface ProgressOutput {
	readonly isTTY?: boolean;
	write(text: string): unknown;
}

/** What is over sooner needs no line. */
const PATIENCE_MS = 150;
const MIB = 1 << 20;

export class Progress {
	readonly #output: ProgressOutput;
	readonly #started = performance.now();
	#shown = "";

	constructor(output: ProgressOutput) {
		this.#output = output;
	}

	/** "reading the initrd 12 of 30 MiB"; without a total, just the activity. */
	readonly show = (activity: string, doneBytes = 0, totalBytes = 0): void => {
		if (performance.now() - this.#started < PATIENCE_MS) return;
		this.#replace(
			totalBytes < MIB
				? `lguest: ${activity}...`
				: `lguest: ${activity}: ${inMib(doneBytes)} of ${inMib(totalBytes)} MiB`,
		);
	};

	/** As `show`, at once: for what blocks until it is done. */
	announce(activity: string): void {
		this.#replace(`lguest: ${activity}...`);
	}

	/** Leaves the line as it was before. */
	clear(): void {
		this.#replace("");
	}

	/** Carriage return, and "erase to end of line" (ECMA-48 EL). */
	#replace(text: string): void {
		if (!this.#output.isTTY || text === this.#shown) return;
		this.#shown = text;
		this.#output.write(`\r${text}\u001b[K`);
	}
}

function inMib(bytes: number): number {
	return Math.round(bytes / MIB);
}
