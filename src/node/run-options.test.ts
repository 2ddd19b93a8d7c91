import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseCommandLine } from "./arguments.ts";
import { descriptionOf } from "./run-options.ts";

let folder: string;

beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "lguest-guest-"));
	vi.stubEnv("LGUEST_GUEST", folder);
	vi.stubEnv("TERM", "");
});

afterEach(() => {
	vi.unstubAllEnvs();
	rmSync(folder, { recursive: true });
});

const FILES = { kernel: "k", initrd: "i" };
const NET = { kind: "switch", name: "lab" };
const ALL = {
	...{ memoryBytes: 96 << 20, clock: "virtual", engine: "cold" },
	...{ unpack: false, console: "virtio", transport: "mmio" },
	...{ debugExitPort: 7, entropy: true, agent: true },
	kernelArguments: ["quiet"],
	devices: { nets: [NET], balloonBytes: 5 },
};

/** What `lguest run` makes of its arguments, given that `guest.json`. */
function described(guest: object, ...args: string[]) {
	writeFileSync(join(folder, "guest.json"), JSON.stringify(guest));
	const command = parseCommandLine(["run", ...args]);
	if (command.kind !== "run") throw new Error(`it is ${command.kind}`);
	return descriptionOf(command.options);
}

describe("the default guest", () => {
	it("is as its guest.json says where the command line is silent", () => {
		expect(described({ ...FILES, ...ALL })).toEqual({
			...ALL,
			kernel: join(folder, "k"),
			initrd: join(folder, "i"),
			disks: [],
		});
	});

	it("is as the command line says, even what is the machine's default", () => {
		const explicit = [
			...["--memory", "256M", "--clock", "wall", "--engine", "auto"],
			...["--unpack", "yes", "--console", "serial", "--transport", "pci"],
			...["--debug-exit", "0xf4", "--net", "none", "--balloon", "0"],
		];
		expect(described({ ...FILES, ...ALL }, ...explicit)).toMatchObject({
			...{ memoryBytes: 256 << 20, clock: "wall", engine: "auto" },
			...{ unpack: true, console: "serial", transport: "pci" },
			...{ debugExitPort: 0xf4, entropy: true, agent: true },
			devices: { nets: [], balloonBytes: 0 },
		});
	});

	it("keeps the devices that the command line does not speak of", () => {
		const { devices } = described({ ...FILES, ...ALL }, "--balloon", "1M");
		expect(devices).toEqual({ nets: [NET], balloonBytes: 1 << 20 });
	});

	it("leaves to the machine what nobody speaks of", () => {
		expect(described(FILES)).toEqual({
			kernel: join(folder, "k"),
			initrd: join(folder, "i"),
			...{ kernelArguments: [], devices: {}, disks: [] },
		});
		expect(described(FILES, "--rng").entropy).toBe(true);
	});

	it("says how its initrd is packed, but not of another one", () => {
		const guest = { ...FILES, initrdPacking: "gzip" };
		expect(described(guest)).toMatchObject({ initrdPacking: "gzip" });
		const other = described(guest, "--initrd", "mine.cpio");
		expect(other.initrd).toBe("mine.cpio");
		expect(other).not.toHaveProperty("initrdPacking");
	});

	it("has no say in a kernel of your own", () => {
		const words = ["--memory", "64M", "vmlinuz", "--", "quiet"];
		expect(described({ ...FILES, ...ALL }, ...words)).toEqual({
			...{ kernel: "vmlinuz", kernelArguments: ["quiet"] },
			...{ memoryBytes: 64 << 20, devices: {}, disks: [] },
		});
	});
});
