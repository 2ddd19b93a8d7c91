/**
 * `npm run web-bench`: the page in headless Chromium, beside the same in Node and
 * beside a page with v86. Rounds visit all of them in turn; what counts is the
 * ratio of their medians. Relies on `scripts/bench/`, on Debian's Chromium and
 * its packages.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Browser } from "playwright-core";
import { openBrowser } from "../test/page/guest-page.ts";
import { buildBenchImage } from "./bench/guest-image.ts";
import { measureRound, type Sample } from "./bench/measure.ts";
import { buildRows, describeMachine, formatReport } from "./bench/report.ts";
import { withStarted } from "./bench/start.ts";
import { median, relativeSpread } from "./bench/statistics.ts";
import { secondsOfOurs, secondsOfV86, serveBoth } from "./bench/web-start.ts";
import { WORKLOADS } from "./bench/workloads.ts";
import { debianAsset, installTools } from "./debian.ts";

const USAGE = `usage: npm run web-bench -- [options]
--rounds N    rounds to run (5)
--start       only from opening the page to the prompt
--speed       only the workloads
--only A,B    of the workloads these, or "all"; else a few of each kind
`;

const GUEST_MIB = 256;
/** Loops, system calls, memory, floating point, and real programs. */
const USUAL = [
	...["fork-exec", "gzip", "sha256", "awk", "sieve", "hash-table", "bytecode"],
	...["floating-sum", "matrix", "memory-copy", "system-calls", "page-faults"],
];
const SPEED_ENGINES = ["ours", "ours-web"] as const;

function say(line: string): void {
	process.stderr.write(`web-bench: ${line}\n`);
}

/** Seconds to the prompt of each, round by round. */
async function measureStarts(
	browser: Browser,
	rounds: number,
): Promise<string> {
	const server = await serveBoth();
	try {
		const measures: Record<string, () => Promise<number>> = {
			page: () => secondsOfOurs(browser, server.url),
			node: () => withStarted("ours", GUEST_MIB, async (_, value) => value),
			v86: () => secondsOfV86(browser, server.url),
		};
		const seconds: Record<string, number[]> = {};
		for (let round = 1; round <= rounds; round++) {
			for (const [name, measure] of Object.entries(measures)) {
				say(`start, round ${round} of ${rounds}: ${name}`);
				const list = seconds[name] ?? [];
				list.push(await measure());
				seconds[name] = list;
			}
		}
		return formatStarts(seconds);
	} finally {
		await server.close();
	}
}

function formatStarts(seconds: Readonly<Record<string, number[]>>): string {
	const middle = (name: string) => median(seconds[name] ?? []);
	const lines = Object.entries(seconds).map(([name, values]) => {
		const spread = Math.round((relativeSpread(values) / 2) * 100);
		return `${name.padEnd(6)}${middle(name).toFixed(3)} s ±${spread}%`;
	});
	return [
		"from opening the page, or from the command, to the default guest's prompt:",
		...lines,
		`page : node ${(middle("page") / middle("node")).toFixed(2)} (at most 1.5)`,
		`page : v86  ${(middle("page") / middle("v86")).toFixed(2)} (at most 0.25)`,
	].join("\n");
}

/** The bench suite in the browser and in Node. */
async function measureSpeed(
	rounds: number,
	names: readonly string[],
): Promise<string> {
	const kernel = await debianAsset("kernel-686");
	const image = await buildBenchImage();
	if (kernel === undefined || image === undefined) {
		throw new Error("the workloads need Debian's kernel and busybox");
	}
	const workloads = WORKLOADS.filter(({ name }) => names.includes(name));
	const samples: Sample[] = [];
	for (let round = 1; round <= rounds; round++) {
		// In turns, so that neither always follows the other.
		const order =
			round % 2 === 1 ? SPEED_ENGINES : [...SPEED_ENGINES].reverse();
		for (const engine of order) {
			say(`speed, round ${round} of ${rounds}: ${engine}`);
			const plan = { kernel, image, workloads, memoryMiB: GUEST_MIB };
			const { samples: found } = await measureRound(engine, {
				...plan,
				...{ scale: "full", boot: false, rate: false },
			});
			samples.push(...found);
		}
	}
	const { rows, failures } = buildRows(samples, SPEED_ENGINES, workloads);
	return formatReport({
		...{ date: "", scale: "full", rounds, rows, failures },
		...{ engines: SPEED_ENGINES, peakMiB: {}, guestMiB: GUEST_MIB },
		machine: {},
	});
}

async function main(args: readonly string[]): Promise<void> {
	const { values } = parseArgs({
		args: [...args],
		options: {
			rounds: { type: "string", default: "5" },
			start: { type: "boolean", default: false },
			speed: { type: "boolean", default: false },
			only: { type: "string" },
			help: { type: "boolean", default: false },
		},
	});
	if (values.help) {
		process.stdout.write(USAGE);
		return;
	}
	const rounds = Number(values.rounds);
	const both = values.start === values.speed;
	const all = WORKLOADS.map(({ name }) => name);
	const names =
		values.only === "all" ? all : (values.only?.split(",") ?? USUAL);
	await installTools("bench");
	// So that what is said of the machine names it.
	await debianAsset("kernel-686");
	const browser = await openBrowser();
	const machine = { ...(await describeMachine()), chromium: browser.version() };
	for (const [name, value] of Object.entries(machine)) {
		process.stdout.write(`${name}: ${value}\n`);
	}
	if (both || values.start) {
		process.stdout.write(`\n${await measureStarts(browser, rounds)}\n`);
	}
	await browser.close();
	if (both || values.speed) {
		process.stdout.write(`\n${await measureSpeed(rounds, names)}\n`);
	}
}

// What the guests' browsers leave behind, who are killed, goes with this folder.
const folder = mkdtempSync(join(tmpdir(), "lguest-web-bench-"));
process.env.TMPDIR = folder;
try {
	await main(process.argv.slice(2));
} finally {
	rmSync(folder, { recursive: true, force: true });
}
