/**
 * The few error classes an embedder can test for. Each stands for one kind of
 * fault: ours to report in the user's words (`LguestError`), the user's to
 * correct (`UsageError`), the Guest's own end (`GuestFailure`).
 *
 * A wrong Guest never throws through the run loop: the run loop *returns* why
 * it stopped, and only the Launcher's face turns that into a `GuestFailure`.
 *
 * Relies on nothing; every folder may import it.
 *
 * @journey P:020 Three ways to be wrong
 */

/** Something the user can be told about in one sentence, without a stack trace. */
export class LguestError extends Error {
	/** Written out, because bundlers give classes other names. */
	override readonly name: string = "LguestError";
	/** What to do next, when we know it; a sentence of its own. */
	readonly hint: string | undefined;
	/** What a process that ends because of this error returns to its shell. */
	readonly exitStatus: number = 1;

	constructor(
		message: string,
		options: { hint?: string; cause?: unknown } = {},
	) {
		super(message, options.cause === undefined ? {} : { cause: options.cause });
		this.hint = options.hint;
	}
}

/** A bad option, kernel or initrd: nothing ran, and changing the request helps. */
export class UsageError extends LguestError {
	override readonly name = "UsageError";
	override readonly exitStatus = 2;
}

/** The Guest died of its own doing: a triple fault, a killing hypercall. */
export class GuestFailure extends LguestError {
	override readonly name = "GuestFailure";
	override readonly exitStatus = 3;
}

/** What was asked of a guest cannot be had any more: it has ended. */
export class GuestEndedError extends LguestError {
	override readonly name = "GuestEndedError";
}

/** The guest's agent is not there, or could not do what it was asked. */
export class AgentError extends LguestError {
	override readonly name = "AgentError";
	/** Linux's name of what went wrong in the guest: "ENOENT". */
	readonly code: string | undefined;

	constructor(
		message: string,
		options: { hint?: string; cause?: unknown; code?: string } = {},
	) {
		super(message, options);
		this.code = options.code;
	}
}

/** What a disk is kept in has no room left: the guest's writes fail. */
export class StorageFullError extends LguestError {
	override readonly name = "StorageFullError";
	/** What a file system says in this case. */
	readonly code = "ENOSPC";
}

/** A command in the guest took longer than it was given, and was killed. */
export class ExecTimeoutError extends LguestError {
	override readonly name = "ExecTimeoutError";
}

/** `--engine compare` has caught us: the two engines disagree. A defect of ours. */
export class EngineDifference extends LguestError {
	override readonly name = "EngineDifference";
}
