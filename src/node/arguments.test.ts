import { describe, expect, it } from "vitest";
import {
	type Command,
	parseCommandLine,
	type RunOptions,
} from "./arguments.ts";
import { RUN_OPTIONS } from "./options/index.ts";

function run(...args: string[]): RunOptions {
	const command: Command = parseCommandLine(["run", ...args]);
	if (command.kind !== "run") throw new Error(`it is ${command.kind}`);
	return command.options;
}

function refusal(...args: string[]): string {
	try {
		parseCommandLine(args);
	} catch (error) {
		return (error as Error).message;
	}
	return "accepted";
}

describe("The command line", () => {
	it("needs nothing but a kernel", () => {
		expect(run("vmlinuz")).toEqual({
			kernelPath: "vmlinuz",
			initrdPath: undefined,
			memoryBytes: undefined,
			clock: undefined,
			engine: undefined,
			statsPath: undefined,
			debugExitPort: undefined,
			top: false,
			unpack: undefined,
			disks: [],
			nets: undefined,
			rng: false,
			console: undefined,
			shares: undefined,
			vsock: undefined,
			balloonBytes: undefined,
			transport: undefined,
			rest: [],
		});
	});

	it("takes disks, each with known words behind its path", () => {
		expect(
			run(
				...["--disk", "a.img", "--disk=b,c.img,ro"],
				...["--disk", "ro,overlay", "--rng"],
				...["--disk", "d,serial=7,overlay=e=f,format=qcow2", "k"],
			),
		).toMatchObject({
			disks: [
				{ path: "a.img" },
				{ path: "b,c.img", readOnly: true },
				{ path: "ro", overlay: true },
				{ path: "d", serial: "7", overlay: "e=f", format: "qcow2" },
			],
			rng: true,
		});
		for (const [text, complaint] of [
			["", "names no file"],
			["a,ro,overlay", "either"],
			["a,overlay,overlay=b", "twice"],
			["a,overlay=", "of what"],
			["a,format=vmdk", "is no format"],
			["a,serial=far-too-long-for-a-disk", "is no serial number"],
		] as const) {
			expect(refusal("run", "k", "--disk", text)).toContain(complaint);
		}
	});

	it("takes directories to share, each with a tag", () => {
		const shares = (text: string) => run("--share", text, "k").shares;
		expect(shares("/a:b,c:tag")).toEqual([
			{ path: "/a:b,c", tag: "tag", readOnly: false },
		]);
		expect(shares(".:here,ro")).toEqual([
			{ path: ".", tag: "here", readOnly: true },
		]);
		for (const wrong of ["dir", ":tag", "dir:", "dir:tag,rw", ""]) {
			const refused = refusal("run", "k", "--share", wrong);
			expect(refused).toContain("not a directory and a tag");
		}
	});

	it("takes the size of a balloon, which may be nothing", () => {
		expect(run("--balloon", "64M", "k").balloonBytes).toBe(64 << 20);
		expect(run("--balloon", "0", "k").balloonBytes).toBe(0);
		expect(refusal("run", "k", "--balloon", "big")).toContain("no amount");
	});

	it("takes a vsock's path, and perhaps a context id", () => {
		const vsock = (text: string) => run("--vsock", text, "k").vsock;
		expect(vsock("a,b.sock")).toEqual({
			...{ path: "a,b.sock", guestCid: undefined },
		});
		expect(vsock("v,cid=42")).toEqual({ path: "v", guestCid: 42 });
		for (const cid of ["2", "x", "", "4294967295"]) {
			const refused = refusal("run", "k", "--vsock", `v,cid=${cid}`);
			expect(refused).toContain("no context id");
		}
		expect(refusal("run", "k", "--vsock", ",cid=3")).toContain("no socket");
	});

	it("takes networks, each with where its cable leads", () => {
		const nets = ["switch:lab", "tap:mv0,mac=02:00:00:00:00:0A", "socket:/a,b"];
		const given = nets.flatMap((net) => ["--net", net]);
		expect(run(...given, "k").nets).toEqual([
			{ kind: "switch", name: "lab" },
			{ kind: "tap", name: "mv0", mac: "02:00:00:00:00:0A" },
			{ kind: "socket", name: "/a,b" },
		]);
		expect(run("--net", "none", "k").nets).toEqual([]);
		for (const bad of [
			"",
			"switch:",
			"switch:../x",
			"bridge:a",
			"none,mac=1",
		]) {
			expect(refusal("run", "k", "--net", bad)).toContain("not understood");
		}
		for (const mac of ["1", "01:00:00:00:00:00", "02:00:00:00:00:00:00"]) {
			expect(refusal("run", "k", "--net", `switch:a,mac=${mac}`)).toContain(
				"no address for a network card",
			);
		}
	});

	it("takes a transport by its name", () => {
		expect(run("--transport", "mmio-legacy", "k").transport).toBe(
			"mmio-legacy",
		);
		expect(refusal("run", "--transport", "usb", "k")).toContain("--transport");
	});

	it("takes options before and after the kernel", () => {
		const options = run("--clock", "virtual", "vmlinuz", "--stats=out.json");
		expect(options.clock).toBe("virtual");
		expect(options.statsPath).toBe("out.json");
	});

	it("leaves everything behind -- to the kernel, options too", () => {
		const options = run("vmlinuz", "--", "--memory", "quiet", "--", "init=/x");
		expect(options.rest).toEqual([...["--memory", "quiet", "--", "init=/x"]]);
		expect(options.memoryBytes).toBeUndefined();
	});

	it.each([
		["64M", 64 << 20],
		["64", 64 << 20],
		["1G", 1 << 30],
		["1.5g", 1.5 * 2 ** 30],
		["65536K", 64 << 20],
		["128MiB", 128 << 20],
	])("understands --memory %s", (text, bytes) => {
		expect(run("--memory", text, "k").memoryBytes).toBe(bytes);
	});

	it.each(["0", "-5M", "lots", "1e9G", "", "M", "5T", "0.3K"])(
		"refuses --memory=%s",
		(text) => {
			expect(refusal("run", `--memory=${text}`, "k")).toContain("memory");
		},
	);

	it.each([
		["0xf4", 0xf4],
		["244", 244],
		["0xFFFF", 0xffff],
	])("understands --debug-exit %s", (text, port) => {
		expect(run("--debug-exit", text, "k").debugExitPort).toBe(port);
	});

	it.each(["0x10000", "port", "", "1.5"])("refuses --debug-exit=%s", (text) => {
		expect(refusal("run", `--debug-exit=${text}`, "k")).toContain("port");
	});

	it("names what it does not understand", () => {
		expect(refusal("run", "--wibble", "k")).toContain("--wibble");
		expect(refusal("run", "--engine", "steam", "k")).toContain("steam");
		expect(refusal("run", "--clock", "sun", "k")).toContain("sun");
		expect(refusal("run", "--unpack", "maybe", "k")).toContain("maybe");
		expect(refusal("run", "a", "b")).toContain('"b"');
		expect(refusal("run", "")).toContain("kernel");
		expect(refusal("fly")).toContain("fly");
	});

	it("says all of it in one sentence on one line", () => {
		for (const args of [["--wibble"], ["run", "--memory", "-5M"]]) {
			expect(refusal(...args)).toMatch(/^[^\n]+\.$/);
		}
	});

	it('is "run" without a kernel when it says nothing', () => {
		for (const args of [[], ["run"], ["--memory", "64M"]]) {
			const command = parseCommandLine(args);
			expect(command).toMatchObject({
				kind: "run",
				options: { kernelPath: undefined },
			});
		}
	});

	it("suggests the option that was meant", () => {
		expect(() => parseCommandLine(["run", "--memmory", "1"])).toThrow(
			expect.objectContaining({ hint: "Did you mean --memory?" }),
		);
	});

	it("shows an overview that fits a screen of 24 lines of 80", () => {
		const help = parseCommandLine(["--help"]);
		const lines = help.kind === "help" ? help.text.trimEnd().split("\n") : [];
		expect(lines.length).toBeGreaterThan(10);
		expect(lines.length).toBeLessThanOrEqual(24);
		expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
	});

	it("gives every option one line of help", () => {
		const help = parseCommandLine(["run", "--help"]);
		const text = help.kind === "help" ? help.text : "";
		for (const { flags, summary } of RUN_OPTIONS) {
			const line = text.split("\n").find((line) => line.includes(flags));
			expect(line).toContain(summary);
		}
	});

	it.each([["--help"], ["-h"], ["help"], ["run", "--help"]])(
		"explains itself when asked by %s %s",
		(...args) => {
			expect(parseCommandLine(args.filter(Boolean)).kind).toBe("help");
		},
	);

	it("tells its version, but not for the kernel's --version", () => {
		expect(parseCommandLine(["--version"]).kind).toBe("version");
		expect(parseCommandLine(["run", "k", "--", "--version"]).kind).toBe("run");
	});
});
