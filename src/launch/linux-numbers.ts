/**
 * Linux's numbers for signals and for the errors a command may fail to start
 * with, as i386 and x86-64 have them (include/uapi/asm-generic/signal.h and
 * errno-base.h, Linux 6.1).
 *
 * Relies on nothing; processes in the guest rely on it.
 *
 * @journey P:494 Numbers with names
 */

/** In the order of their numbers, from 1. */
const SIGNALS = `HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE
	ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF
	WINCH IO PWR SYS`
	.split(/\s+/)
	.map((name) => `SIG${name}`);

export function signalNumber(name: string): number | undefined {
	const index = SIGNALS.indexOf(name);
	return index < 0 ? undefined : index + 1;
}

/** Real-time signals have numbers only. */
export function signalName(number: number): string {
	return SIGNALS[number - 1] ?? `SIG${number}`;
}

const ERRORS: Readonly<Record<number, readonly [name: string, text: string]>> =
	{
		1: ["EPERM", "it is not permitted"],
		2: ["ENOENT", "no such file or directory"],
		5: ["EIO", "input/output error"],
		7: ["E2BIG", "the arguments are too long"],
		8: ["ENOEXEC", "it is no program"],
		11: ["EAGAIN", "too many processes"],
		12: ["ENOMEM", "the guest is out of memory"],
		13: ["EACCES", "permission denied"],
		16: ["EBUSY", "it is in use"],
		20: ["ENOTDIR", "not a directory"],
		21: ["EISDIR", "is a directory"],
		23: ["ENFILE", "too many open files"],
		24: ["EMFILE", "too many open files"],
		26: ["ETXTBSY", "the program is being written"],
		27: ["EFBIG", "the file is too large"],
		28: ["ENOSPC", "no space left"],
		30: ["EROFS", "the file system is read-only"],
		36: ["ENAMETOOLONG", "the name is too long"],
		40: ["ELOOP", "too many symbolic links"],
	};

/** Both the name and words. */
export function describeErrno(errno: number): {
	readonly name: string;
	readonly text: string;
} {
	const [name, text] = ERRORS[errno] ?? [`E${errno}`, `error ${errno}`];
	return { name, text };
}
