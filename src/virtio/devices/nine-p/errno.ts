/**
 * The numbers that Linux has for errors (asm-generic/errno-base.h and errno.h),
 * because 9P2000.L sends those, whatever system we are on ourselves.
 *
 * Relies on nothing; the session relies on it.
 *
 * @journey D:222 What went wrong, as a number
 */

const ERRNO: Readonly<Record<string, number>> = {
	EPERM: 1,
	ENOENT: 2,
	EINTR: 4,
	EIO: 5,
	ENXIO: 6,
	E2BIG: 7,
	EBADF: 9,
	EAGAIN: 11,
	ENOMEM: 12,
	EACCES: 13,
	EBUSY: 16,
	EEXIST: 17,
	EXDEV: 18,
	ENODEV: 19,
	ENOTDIR: 20,
	EISDIR: 21,
	EINVAL: 22,
	ENFILE: 23,
	EMFILE: 24,
	ETXTBSY: 26,
	EFBIG: 27,
	ENOSPC: 28,
	ESPIPE: 29,
	EROFS: 30,
	EMLINK: 31,
	ERANGE: 34,
	ENAMETOOLONG: 36,
	ENOLCK: 37,
	ENOSYS: 38,
	ENOTEMPTY: 39,
	ELOOP: 40,
	ENODATA: 61,
	EPROTO: 71,
	EOVERFLOW: 75,
	EILSEQ: 84,
	EMSGSIZE: 90,
	EOPNOTSUPP: 95,
	ENOTSUP: 95,
	ESTALE: 116,
	EDQUOT: 122,
};

/** By the error's `code`; what has none that Linux knows is an I/O error. */
export function errnoOf(error: unknown): number {
	const isNamed = error instanceof Error && "code" in error;
	const code = isNamed ? String(error.code) : "EIO";
	return ERRNO[code] ?? (ERRNO.EIO as number);
}
