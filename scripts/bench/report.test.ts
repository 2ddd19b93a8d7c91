/** How samples become rows, ratios and a chart. */

import { describe, expect, it } from "vitest";
import { drawChart } from "./chart.ts";
import type { BenchEngine, Sample } from "./measure.ts";
import {
	buildRows,
	formatReport,
	meanSpeedRatio,
	type Report,
	speedRatio,
} from "./report.ts";

const ENGINES: readonly BenchEngine[] = ["ours", "v86", "native"];

function sample(
	engine: BenchEngine,
	workload: string,
	value: number,
	output = "right",
): Sample {
	return { engine, workload, value, output };
}

function reportOf(samples: readonly Sample[]): Report {
	return {
		date: "2026-01-02T03:04:05Z",
		scale: "full",
		rounds: 1,
		machine: { machine: "a <small> machine" },
		engines: ENGINES,
		...buildRows(samples, ENGINES),
		peakMiB: { ours: 300 },
		guestMiB: 256,
	};
}

const SAMPLES: readonly Sample[] = [
	sample("native", "gzip", 0.1),
	sample("ours", "gzip", 1),
	sample("ours", "gzip", 3),
	sample("v86", "gzip", 8),
	sample("native", "sort", 0.1),
	sample("ours", "sort", 4),
	sample("v86", "sort", 4),
];

describe("the benchmark's report", () => {
	it("takes medians over rounds and ratios of medians", () => {
		const [gzip] = buildRows(SAMPLES, ENGINES).rows;
		expect(gzip?.cells.ours?.median).toBe(2);
		expect(gzip && speedRatio(gzip, "ours", "v86")).toBe(4);
	});

	it("averages ratios geometrically", () => {
		const { rows } = buildRows(SAMPLES, ENGINES);
		expect(meanSpeedRatio(rows, "ours", "v86")).toBeCloseTo(2);
	});

	it("drops a time whose result differs from the native one, and says so", () => {
		const { rows, failures } = buildRows(
			[...SAMPLES, sample("v86", "gzip", 0.001, "wrong")],
			ENGINES,
		);
		expect(rows[0]?.agreed).toBe(false);
		expect(rows[0]?.cells.v86?.values).toEqual([8]);
		expect(failures[0]).toMatchObject({ engine: "v86", workload: "gzip" });
		expect(failures[0]?.failure).toContain("wrong result");
	});

	it("reads a rate the other way round: more is faster", () => {
		const { rows } = buildRows(
			[
				{ engine: "ours", workload: "boot-rate", value: 200e6 },
				{ engine: "v86", workload: "boot-rate", value: 80e6 },
			],
			ENGINES,
		);
		expect(rows[0] && speedRatio(rows[0], "ours", "v86")).toBe(2.5);
		expect(meanSpeedRatio(rows, "ours", "v86")).toBeUndefined();
	});

	it("prints a row per workload and the failures", () => {
		const text = formatReport(
			reportOf([
				...SAMPLES,
				{ engine: "ours", workload: "boot", failure: "stuck" },
			]),
		);
		expect(text).toMatch(/^gzip +2\.000 ±50% +8\.000/m);
		expect(text).toMatch(/^geometric mean .* 2\.00/m);
		expect(text).toContain("FAILED ours boot: stuck");
	});

	it("draws a chart in which text cannot become markup", () => {
		const svg = drawChart(reportOf(SAMPLES)) ?? "";
		expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
		expect(svg).toContain("a &lt;small&gt; machine");
		expect(svg).toContain(">4.0</text>");
	});

	it("draws nothing without the baseline", () => {
		const ours = SAMPLES.filter(({ engine }) => engine !== "v86");
		expect(drawChart(reportOf(ours))).toBeUndefined();
	});
});
