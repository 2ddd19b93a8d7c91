/**
 * What an option of `lguest run` is: one value that holds everything about it,
 * so that a new option is a new file here and a line in `index.ts`. The type of
 * what all options say together follows from that list.
 *
 * Relies on the errors; the files beside it rely on it.
 *
 * @journey L:111 One option, one place
 */

import { UsageError } from "../../index.ts";

/** The headings of `lguest run --help`, in its order. */
export const OPTION_GROUPS = [
	"Machine:",
	"Kernel:",
	"Devices:",
	"Tests and measurements:",
] as const;

/** One option; `Value` is what the rest of the program gets under `key`. */
export interface RunOption<Key extends string = string, Value = unknown> {
	/** Its name in `RunOptions`. */
	readonly key: Key;
	/** As `--help` shows it: `--disk <file>`, or `--rng` for a switch. */
	readonly flags: string;
	readonly group: (typeof OPTION_GROUPS)[number];
	/** One line of `--help`, at most 50 characters. */
	readonly summary: string;
	/** What the reference (docs/cli.md) says besides; Markdown. */
	readonly manual?: string;
	/**
	 * The value when the option is not given. `undefined` leaves it to the default
	 * guest's `guest.json`, and then to the machine, whose default it is.
	 */
	readonly initial: Value;
	/**
	 * Understands one use of the option; `before` is the value so far, for
	 * options that may be repeated. Throws `UsageError`. Absent for a switch,
	 * which turns `true`.
	 */
	parse?(text: string, before: Value): Value;
}

/** Checks nothing; it is here for the types, which a literal alone would lose. */
export function runOption<const Key extends string, Value>(
	option: RunOption<Key, Value>,
): RunOption<Key, Value> {
	return option;
}

/** For `parse`: one of a few words. */
export function oneOf<const Choice extends string>(
	flag: string,
	choices: readonly Choice[],
): (text: string) => Choice {
	return (text) => {
		const found = choices.find((choice) => choice === text);
		if (found !== undefined) return found;
		throw badOption(
			`${flag} cannot be "${text}".`,
			`It can be: ${choices.join(", ")}.`,
		);
	};
}

/** The error for everything a user may get wrong here. */
export function badOption(message: string, hint?: string): UsageError {
	return new UsageError(message, {
		hint: hint ?? "lguest run --help lists the options.",
	});
}
