/**
 * What `--top` shows, as lines of text: rates between two looks at a guest's
 * counters.
 *
 * Relies on the statistics alone; `top-command.ts` relies on it.
 *
 * @journey L:164 Reading the dials
 */

import type { MachineStatistics } from "../index.ts";

const MIB = 2 ** 20;

/** By device number (virtio 1.3 §5). */
const DEVICE_NAMES: Readonly<Record<number, string>> = {
	1: "network",
	2: "block",
	3: "console",
	4: "entropy",
	5: "balloon",
	9: "9p",
	19: "vsock",
};

/** Lines for a screen of that size; `tail` is what the console said last. */
export function topView(
	before: MachineStatistics,
	now: MachineStatistics,
	tail: string,
	size: { readonly columns: number; readonly rows: number },
): string[] {
	const seconds = now.wallSeconds - before.wallSeconds;
	const dials = [
		`lguest: up ${now.wallSeconds.toFixed(1)} s, guest's time ${now.guestSeconds.toFixed(1)} s, restarts ${now.resets}    (q ends)`,
		"",
		...cpuLines(before, now, seconds),
		`Memory   guest ${mib(now.memory.guestBytes)}, process ${mib(now.memory.rssBytes ?? 0)}, most ${mib(now.memory.peakRssBytes ?? 0)}`,
		"",
		"Devices      kicks/s  interrupts/s",
		...deviceLines(before, now, seconds),
		"",
		"Console",
	];
	const room = Math.max(0, size.rows - dials.length - 1);
	const said = room === 0 ? [] : plain(tail).split("\n").slice(-room);
	return [...dials, ...said].map((line) => line.slice(0, size.columns));
}

function cpuLines(
	before: MachineStatistics,
	now: MachineStatistics,
	seconds: number,
): string[] {
	const retired = now.instructionsRetired - before.instructionsRetired;
	const hot = now.hotRetired - before.hotRetired;
	const share = retired === 0 ? 0 : (100 * hot) / retired;
	const exits = Object.entries(now.exits)
		.map(([reason, count]) => {
			const was = before.exits[reason as keyof typeof before.exits];
			return `${reason} ${rate(count - was, seconds)}`;
		})
		.join(", ");
	return [
		`CPU      ${(retired / 1e6 / seconds || 0).toFixed(1)} million instructions/s, ${share.toFixed(0)} % in compiled code`,
		`Code     ${now.regions} regions, ${now.codePagesDecoded} pages decoded, ${rate(now.codeInvalidations - before.codeInvalidations, seconds)} invalidations`,
		`Memory   ${rate(now.tlbMisses - before.tlbMisses, seconds)} TLB misses`,
		`Exits    ${exits}`,
	];
}

function deviceLines(
	before: MachineStatistics,
	now: MachineStatistics,
	seconds: number,
): string[] {
	return now.devices.map((device, index) => {
		const was = before.devices[index];
		const name = DEVICE_NAMES[device.deviceId] ?? `type ${device.deviceId}`;
		// A restart begins to count anew.
		const kicks = Math.max(0, device.kicks - (was?.kicks ?? 0));
		const interrupts = Math.max(0, device.interrupts - (was?.interrupts ?? 0));
		return [
			`  ${name}`.padEnd(12),
			(kicks / seconds || 0).toFixed(0).padStart(8),
			(interrupts / seconds || 0).toFixed(0).padStart(14),
		].join("");
	});
}

function rate(count: number, seconds: number): string {
	return `${(count / seconds || 0).toFixed(0)}/s`;
}

function mib(bytes: number): string {
	return `${Math.round(bytes / MIB)} MiB`;
}

/** Without what would move the cursor: control sequences (ECMA-48 §5.4) and controls. */
export function plain(text: string): string {
	return text
		.replaceAll(CONTROL_SEQUENCES, "")
		.replaceAll("\t", " ")
		.replaceAll(CONTROLS, "");
}

const ESCAPE = "\u001b";
const CONTROL_SEQUENCES = new RegExp(`${ESCAPE}\\[[0-?]*[ -/]*[@-~]`, "g");
const CONTROLS = /\p{Cc}(?<!\n)/gu;
