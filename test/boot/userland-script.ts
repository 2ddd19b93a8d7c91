/**
 * The commands whose output a guest must reproduce byte for byte: integer and
 * floating point arithmetic, compression, hashing, sorting, pipes and forks, all
 * of it by the same static i386 binaries that also run natively. No command
 * reads a clock, a process id or a file that one side lacks.
 */

/** A command and what it exercises; the title goes into the test's name. */
export interface UserlandCase {
	readonly title: string;
	readonly script: string;
}

/** Text that looks random, by the minimal standard generator: no input file. */
const NUMBERS = (count: number): string =>
	`awk 'BEGIN { x = 42; for (i = 0; i < ${count}; i++) {` +
	` x = (x * 16807) % 2147483647; print x } }'`;

/** Debian's busybox awk has no math library, so the series are written out. */
const SERIES = `
function root(x,  r, i) { r = x; for (i = 0; i < 40; i++) r = (r + x / r) / 2; return r }
function exponential(x,  s, t, i) { s = t = 1; for (i = 1; i < 60; i++) { t *= x / i; s += t } return s }
function sine(x,  s, t, i) { s = t = x; for (i = 1; i < 30; i++) { t *= -x * x / (2 * i * (2 * i + 1)); s += t } return s }
BEGIN { for (i = 1; i <= 40; i++)
	printf "%.17g %.17g %.17g %.17g %d\\n", i / 7, root(i), exponential(i / 3), sine(i / 5), (i * 1e9) % 12345.75 }`;

export const USERLAND_CASES: readonly UserlandCase[] = [
	{
		title: "forks and reaps 200 processes",
		script:
			"i=0; while [ $i -lt 200 ]; do /bin/true || echo failed; i=$((i+1)); done; echo $i",
	},
	{
		title: "runs 40 processes side by side",
		script:
			'for i in $(seq 40); do (echo "child $i") & done | sort; wait; echo done',
	},
	{
		title: "does 64-bit arithmetic in the shell",
		script:
			"echo $((1<<62)) $((-7/2)) $((-7%3)) $((0x7fffffffffffffff+1)) $((123456789*987654321)) $((9999999999/77)) $((-1>>3))",
	},
	{
		title: "computes with awk in floating point",
		script: `awk '${SERIES}'`,
	},
	{
		title: "prints floating point in every format",
		script:
			"awk 'BEGIN { x = 1; for (i = 0; i < 60; i++) { x *= -7.3; printf \"%e|%f|%g|%d\\n\", 1 / x, x, x, x } }'",
	},
	{
		title: "sorts numbers and text",
		script: `${NUMBERS(3000)} > numbers; sort -n numbers | md5sum; sort -r numbers | md5sum; sort -u numbers | wc; sort -n numbers | head -3`,
	},
	{
		title: "compresses and expands with gzip",
		script: `${NUMBERS(6000)} > plain; gzip -c < plain > packed; wc -c < packed; od -A d -t x1 packed | tail -4; gunzip -c packed | cmp - plain && echo same`,
	},
	{
		title: "hashes with every digest busybox has",
		script: `${NUMBERS(4000)} > data; for h in md5sum sha1sum sha256sum sha512sum crc32; do $h data; done`,
	},
	{
		title: "edits text with sed, tr, cut and grep",
		script: `${NUMBERS(500)} | sed 's/\\([0-9]\\)\\([0-9]\\)/\\2\\1/g' | tr 0-4 a-e | cut -c2-7 | grep -E '^[a-e]{2,}' | sort | uniq -c | tail -5`,
	},
	{
		title: "factors and computes with dc",
		script:
			"factor 600851475143 2147483647 99999999977; echo '20 k 2 v p 7 3 / p 2 100 ^ p' | dc",
	},
	{
		title: "archives and dumps",
		script: `mkdir -p box/in; ${NUMBERS(200)} > box/in/file; chmod 644 box/in/file; tar -cf - box | tar -xOf - box/in/file | xxd | tail -3; base64 box/in/file | tail -1`,
	},
];
