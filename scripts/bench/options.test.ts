import { describe, expect, it } from "vitest";
import { BLOCK_WORKLOADS } from "./block.ts";
import { type Options, parseOptions, UsageError } from "./options.ts";

function options(...args: string[]): Options {
	const parsed = parseOptions(args);
	if (typeof parsed === "string") throw new Error(`it is ${parsed}`);
	return parsed;
}

function refusal(...args: string[]): string {
	try {
		parseOptions(args);
	} catch (error) {
		if (error instanceof UsageError) return error.message;
		throw error;
	}
	return "accepted";
}

describe("the options of the benchmark", () => {
	it("choose among the workloads of what is measured", () => {
		expect(options().only).toBeUndefined();
		expect(options("--only", "boot").only).toEqual(["boot"]);
		const [block] = BLOCK_WORKLOADS.map(({ name }) => name);
		expect(options("--block", "--only", block ?? "").only).toEqual([block]);
		const echo = options("--network", "--only", "network-echo");
		expect([echo.mode, echo.only]).toEqual(["network", ["network-echo"]]);
		expect(options("--wide", "--only", "crc").only).toEqual(["crc"]);
	});

	it("name what there is when a workload is another's", () => {
		expect(refusal("--network", "--only", "boot")).toMatch(
			/"boot".*network-stream, network-echo/,
		);
		expect(refusal("--only", "network-echo")).toContain("network-echo");
		expect(refusal("--block", "--only", "boot")).toContain("boot");
	});

	it("take no choice where there is none", () => {
		for (const mode of ["--start", "--queue", "--lguest=vmlinux"]) {
			expect(refusal(mode, "--only", "start")).toContain("without --only");
			expect(refusal(mode)).toBe("accepted");
		}
	});

	it("measure one thing at a time", () => {
		expect(refusal("--start", "--network")).toMatch(/--start or --network/);
		expect(refusal("--lguest=vmlinux", "--block")).toMatch(/--block or/);
	});

	it("leave out engines that cannot take part", () => {
		expect(options("--network").engines).toEqual(["ours", "qemu"]);
		expect(options("--start").engines).toEqual(["ours", "v86", "qemu"]);
		expect(options("--block").engines).toContain("ours-overlay");
		expect(refusal("--engines", "ours-overlay")).toContain("ours-overlay");
		expect(refusal("--network", "--engines", "v86")).toContain("v86");
		expect(options("--lguest=vmlinux").kernel).toBe("vmlinux");
		expect(options("--lguest=vmlinux").engines).toEqual(["ours", "qemu"]);
		expect(options("--wide").engines).toEqual(["ours"]);
		expect(refusal("--wide", "--engines", "qemu")).toContain("qemu");
	});
});
