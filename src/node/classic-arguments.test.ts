import { describe, expect, it } from "vitest";
import { isClassic, parseClassic } from "./classic-arguments.ts";

describe("the classic command line", () => {
	it("is recognised by a number behind its own options", () => {
		expect(isClassic(["64", "vmlinux"])).toBe(true);
		expect(isClassic(["--block=a", "-v", "--rng", "64", "vmlinux"])).toBe(true);
		for (const args of [
			[],
			["run", "64"],
			["vmlinux"],
			["--memory", "64", "vmlinux"],
			["--disk=a", "64"],
			["64M", "vmlinux"],
		]) {
			expect(isClassic(args)).toBe(false);
		}
	});

	it("keeps devices in order, and takes options from anywhere", () => {
		const options = parseClassic(
			"--block=one 64 --rng vmlinux root=/dev/vda --block=two --verbose init=/bin/sh --initrd=i".split(
				" ",
			),
		);
		expect(options).toEqual({
			memoryMib: 64,
			kernelPath: "vmlinux",
			kernelArguments: "root=/dev/vda init=/bin/sh",
			verbose: true,
			initrdPath: "i",
			engine: "auto",
			devices: [
				{ kind: "block", path: "one" },
				{ kind: "rng" },
				{ kind: "block", path: "two" },
			],
		});
	});

	it("leaves what stands behind -- to the kernel", () => {
		const { kernelArguments } = parseClassic(["32", "k", "a", "--", "--rng"]);
		expect(kernelArguments).toBe("a --rng");
	});

	it("understands an address, and one for the Guest's card", () => {
		const net = (spec: string) =>
			parseClassic([`--tunnet=${spec}`, "64", "k"]).devices;
		const ip = Uint8Array.of(192, 168, 19, 1);
		expect(net("192.168.19.1")).toEqual([{ kind: "net", ip, mac: undefined }]);
		expect(net("192.168.19.1:02:00:00:00:00:aB")).toEqual([
			{ kind: "net", ip, mac: Uint8Array.of(2, 0, 0, 0, 0, 0xab) },
		]);
		for (const bad of ["", "1.2.3", "1.2.3.999", "1.2.3.4:5"]) {
			expect(() => net(bad)).toThrow(/is not IP or IP:MAC/);
		}
	});

	it.each([
		[["64"], /memory size in MiB and a kernel/],
		[["--frob", "64", "k"], /no option --frob/],
		[["--block", "64", "k"], /no option --block/],
		[["--username=me", "64", "k"], /privileges/],
		[["--tunnet=bridge:br0", "64", "k"], /bridge needs privileges/],
		[["--engine=warm", "64", "k"], /there are auto, cold, hot, compare/],
	])(
		"says what is wrong with %j, with the original's status",
		(args, message) => {
			expect(() => parseClassic(args)).toThrow(message);
			try {
				parseClassic(args);
			} catch (error) {
				expect(error).toMatchObject({ exitStatus: 1 });
			}
		},
	);
});
