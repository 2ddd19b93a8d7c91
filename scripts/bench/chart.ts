/**
 * Draws the report as a bar chart for the README: for every workload, how fast
 * each engine is relative to v86, on a logarithmic axis, because ratios of 1/2
 * and 2 are equally far from 1. Plain SVG with its own background, so that it
 * reads on light and dark pages.
 */

import type { BenchEngine } from "./measure.ts";
import { meanSpeedRatio, type Report, type Row, speedRatio } from "./report.ts";

const BASELINE: BenchEngine = "v86";
const COLOURS: Partial<Record<BenchEngine, string>> = {
	ours: "#2563eb",
	"ours-cold": "#93c5fd",
	qemu: "#9ca3af",
};
const LABELS: Partial<Record<BenchEngine, string>> = {
	ours: "lguest",
	"ours-cold": "lguest, --engine cold",
	qemu: "QEMU TCG (native code)",
};

const WIDTH = 760;
const LEFT = 150;
const RIGHT = 60;
const TOP = 70;
const BAR = 9;
const ROW_GAP = 8;
const MINIMUM_EXPONENT = -2;

/** The chart, or `undefined` when the run had no v86 to compare with. */
export function drawChart(report: Report): string | undefined {
	const engines = report.engines.filter((engine) => COLOURS[engine]);
	const rows = report.rows.filter(
		(row) => row.unit === "seconds" && row.cells[BASELINE] !== undefined,
	);
	if (rows.length === 0 || engines.length === 0) return undefined;
	const lines = [
		...rows.map((row) => ({
			name: row.workload,
			ratios: engines.map((engine) => speedRatio(row, engine, BASELINE)),
		})),
		{ name: "geometric mean", ratios: means(rows, engines) },
	];
	const all = lines.flatMap((line) =>
		line.ratios.filter((r) => r !== undefined),
	);
	const maximum = Math.max(1, Math.ceil(Math.log2(Math.max(...all))));
	const scale = new Axis(MINIMUM_EXPONENT, maximum);
	const rowHeight = engines.length * BAR + ROW_GAP;
	const height = TOP + lines.length * rowHeight + 50;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="11">`,
		`<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>`,
		`<text x="16" y="24" font-size="15" font-weight="600" fill="#111827">Speed relative to v86 (right of 1× is faster)</text>`,
		legend(engines),
		grid(scale, height),
		...lines.map((line, index) =>
			bars(line.name, line.ratios, engines, scale, TOP + index * rowHeight),
		),
		...caption(report).map(
			(line, index) =>
				`<text x="16" y="${height - 24 + index * 14}" fill="#6b7280">${escapeMarkup(line)}</text>`,
		),
		"</svg>",
		"",
	].join("\n");
}

/** Maps a ratio to a horizontal position by its logarithm. */
class Axis {
	readonly minimum: number;
	readonly maximum: number;

	constructor(minimum: number, maximum: number) {
		this.minimum = minimum;
		this.maximum = maximum;
	}

	x(ratio: number): number {
		const exponent = Math.max(this.minimum, Math.log2(ratio));
		const share = (exponent - this.minimum) / (this.maximum - this.minimum);
		return Math.round(LEFT + share * (WIDTH - LEFT - RIGHT));
	}
}

function means(
	rows: readonly Row[],
	engines: readonly BenchEngine[],
): (number | undefined)[] {
	return engines.map((engine) => meanSpeedRatio(rows, engine, BASELINE));
}

function legend(engines: readonly BenchEngine[]): string {
	return engines
		.map((engine, index) => {
			const x = 16 + index * 190;
			return `<rect x="${x}" y="36" width="12" height="12" fill="${COLOURS[engine]}"/><text x="${x + 18}" y="46" fill="#374151">${LABELS[engine] ?? engine}</text>`;
		})
		.join("");
}

function grid(scale: Axis, height: number): string {
	const parts: string[] = [];
	for (let e = scale.minimum; e <= scale.maximum; e++) {
		const x = scale.x(2 ** e);
		const colour = e === 0 ? "#111827" : "#e5e7eb";
		const label = e < 0 ? `1/${2 ** -e}` : `${2 ** e}×`;
		parts.push(
			`<line x1="${x}" y1="${TOP - 6}" x2="${x}" y2="${height - 42}" stroke="${colour}"/>`,
			`<text x="${x}" y="${TOP - 9}" text-anchor="middle" fill="#6b7280">${label}</text>`,
		);
	}
	return parts.join("");
}

function bars(
	name: string,
	ratios: readonly (number | undefined)[],
	engines: readonly BenchEngine[],
	scale: Axis,
	y: number,
): string {
	const middle = y + (engines.length * BAR) / 2 + 4;
	const parts = [
		`<text x="${LEFT - 10}" y="${middle}" text-anchor="end" fill="#111827">${escapeMarkup(name)}</text>`,
	];
	ratios.forEach((ratio, index) => {
		const engine = engines[index];
		if (ratio === undefined || engine === undefined) return;
		parts.push(bar(ratio, COLOURS[engine] ?? "", scale, y + index * BAR));
	});
	return parts.join("");
}

/** Grows from 1 to the right when faster, to the left when slower. */
function bar(ratio: number, colour: string, scale: Axis, y: number): string {
	const one = scale.x(1);
	const end = scale.x(ratio);
	const faster = end >= one;
	const width = Math.max(1, Math.abs(end - one));
	const anchor = faster ? "start" : "end";
	const labelX = faster ? end + 4 : end - 4;
	return [
		`<rect x="${Math.min(one, end)}" y="${y}" width="${width}" height="${BAR - 1}" fill="${colour}"/>`,
		`<text x="${labelX}" y="${y + BAR - 1}" font-size="9" text-anchor="${anchor}" fill="#374151">${ratio.toFixed(1)}</text>`,
	].join("");
}

function caption(report: Report): string[] {
	const { machine, node, v86, qemu } = report.machine;
	return [
		`${machine}; ${report.rounds} round(s), medians, ${report.date.slice(0, 10)}`,
		`Node ${node}; v86 ${v86}; ${qemu?.replace(/ \(.*/, "") ?? ""}`,
	];
}

function escapeMarkup(text: string): string {
	return text
		.replaceAll("&", "&amp;")
		.replaceAll("<", "&lt;")
		.replaceAll(">", "&gt;");
}
