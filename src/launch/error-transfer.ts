/**
 * Errors across threads. A structured clone of an error keeps its message and
 * loses its class, and with it what callers test for; so ours travel as data
 * and are made again on arrival.
 *
 * Relies on `errors.ts`; both ends of the wire rely on it.
 *
 * @journey L:215 Errors that travel
 */

import {
	AgentError,
	GuestEndedError,
	GuestFailure,
	LguestError,
	StorageFullError,
	UsageError,
} from "../errors.ts";

/** An error as data. */
export interface PlainError {
	/** Of its class; "Error" for any that is not ours. */
	readonly name: string;
	readonly message: string;
	readonly hint?: string;
	/** Where it came from, in the thread where it did. */
	readonly stack?: string;
}

const CLASSES: Readonly<
	Record<
		string,
		new (
			message: string,
			options: { hint?: string },
		) => LguestError
	>
> = {
	LguestError,
	UsageError,
	GuestFailure,
	GuestEndedError,
	AgentError,
	StorageFullError,
};

/** For `post`. */
export function toPlain(error: unknown): PlainError {
	if (!(error instanceof Error)) return { name: "Error", message: `${error}` };
	const stack = error.stack === undefined ? {} : { stack: error.stack };
	if (!(error instanceof LguestError)) {
		return { name: "Error", message: error.message, ...stack };
	}
	const hint = error.hint === undefined ? {} : { hint: error.hint };
	return { name: error.name, message: error.message, ...hint, ...stack };
}

/** An error like the one that was sent; its stack tells both stories. */
export function fromPlain(plain: PlainError): Error {
	const { name, message, hint, stack } = plain;
	const Class = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
	const error =
		Class === undefined
			? new Error(message)
			: new Class(message, hint === undefined ? {} : { hint });
	if (stack !== undefined) {
		error.stack = `${error.stack ?? ""}\n    in the guest's thread: ${stack}`;
	}
	return error;
}
