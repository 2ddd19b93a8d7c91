/**
 * `--memory`: how much the guest has.
 *
 * @journey P:480 How much memory
 */

import { badOption, runOption } from "./option.ts";

const UNIT_BYTES: Readonly<Record<string, number>> = {
	K: 1024,
	M: 1024 ** 2,
	G: 1024 ** 3,
};

/** `256M`, `1.5G`, `65536K`; a bare number counts MiB, as lguest always did. */
export function parseMemory(text: string, flag = "--memory"): number {
	const match = /^(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?$/i.exec(text);
	const unit = (match?.[2] ?? "").toUpperCase() || "M";
	const bytes = Number(match?.[1]) * (UNIT_BYTES[unit] ?? 0);
	if (!Number.isSafeInteger(bytes) || bytes <= 0) {
		throw badOption(
			`"${text}" is no amount of memory.`,
			`Try ${flag} 256M; K, M and G are understood.`,
		);
	}
	return bytes;
}

export const memoryOption = runOption<"memoryBytes", number | undefined>({
	key: "memoryBytes",
	flags: "-m, --memory <size>",
	group: "Machine:",
	summary: "guest memory (default 256M)",
	manual: "A number with K, M or G behind it; a bare number counts MiB.",
	initial: undefined,
	parse: (text) => parseMemory(text),
});
