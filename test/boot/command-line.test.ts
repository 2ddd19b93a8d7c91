/**
 * What `lguest run` does when its input is wrong, when it is told to stop and
 * when the guest destroys itself: one clear line, the agreed status, never a
 * stack trace. Relies on the built command line program.
 */

import {
	chmodSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	truncateSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { debianAsset } from "../../scripts/debian.ts";
import { expectRefusal, lguest } from "../support/refusal.ts";
import {
	debugExitCode,
	multibootImage,
	tripleFaultCode,
} from "./multiboot-image.ts";
import { GuestSession } from "./session.ts";

const STATUS_TRIPLE_FAULT = 3;
const STATUS_SIGTERM = 128 + 15;
const MINUTE = 60_000;
vi.setConfig({ testTimeout: 5 * MINUTE });

const kernel = await debianAsset("kernel-686");
const amd64Kernel = await debianAsset("kernel-amd64");

let directory: string;

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "lguest-cli-"));
});

afterAll(() => {
	rmSync(directory, { recursive: true, force: true });
});

function file(name: string, data: Uint8Array | string): string {
	const path = join(directory, name);
	writeFileSync(path, data);
	return path;
}

describe("lguest run refuses, in one line and with status 2,", () => {
	it("a kernel that does not exist", () => {
		const path = join(directory, "no-such-kernel");
		expectRefusal(["run", path], /no-such-kernel/);
	});

	it("a kernel that is a directory", () => {
		const path = join(directory, "a-directory");
		mkdirSync(path);
		expectRefusal(["run", path], /a-directory.*director/i);
	});

	it("a kernel it may not read", () => {
		const path = file("secret-kernel", "x");
		chmodSync(path, 0o000);
		expectRefusal(["run", path], /secret-kernel.*(permission|read)/i);
	});

	it("an empty file", () => {
		expectRefusal(["run", file("empty-kernel", "")], /empty-kernel/);
	});

	it("a file that is no kernel", () => {
		const path = file("novel.txt", "It was a dark and stormy night.\n");
		expectRefusal(["run", path], /novel\.txt.*kernel/i);
	});

	it("a large file that is no kernel", () => {
		const noise = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 89);
		expectRefusal(["run", file("noise.bin", noise)], /noise\.bin.*kernel/i);
	});

	it.skipIf(kernel === undefined).each([64, 600, 20_000, 1_000_000])(
		"a kernel cut off after %i bytes",
		(length) => {
			const data = readFileSync(kernel ?? "").subarray(0, length);
			const path = file("short-kernel", data);
			expectRefusal(["run", path], /short-kernel.*(truncated|kernel)/i);
		},
	);

	it.skipIf(amd64Kernel === undefined)("a kernel for 64 bits only", () => {
		expectRefusal(["run", amd64Kernel ?? ""], /64-bit/i);
	});

	it.skipIf(kernel === undefined)("an initrd that does not exist", () => {
		const path = join(directory, "no-such-initrd");
		expectRefusal(["run", "--initrd", path, kernel ?? ""], /no-such-initrd/);
	});

	it.skipIf(kernel === undefined)("an initrd larger than memory", () => {
		const path = file("big-initrd", "");
		truncateSync(path, 300 * 1024 * 1024);
		expectRefusal(
			["run", "--memory", "256M", "--initrd", path, kernel ?? ""],
			/initrd.*(memory|fit)/i,
		);
	});

	it.skipIf(kernel === undefined)("a kernel in 1 MiB of memory", () => {
		expectRefusal(["run", "--memory", "1M", kernel ?? ""], /memory/i);
	});

	it.each(["0", "-5M", "lots", "1e9G", ""])(
		"%j as an amount of memory",
		(amount) => {
			expectRefusal(["run", `--memory=${amount}`, "kernel"], /memory/i);
		},
	);

	it("an option that does not exist", () => {
		expectRefusal(["run", "--wibble", "kernel"], /--wibble/);
	});

	it("an engine that does not exist", () => {
		expectRefusal(["run", "--engine", "steam", "kernel"], /steam/);
	});

	it("a clock that does not exist", () => {
		expectRefusal(["run", "--clock", "sun", "kernel"], /sun/);
	});

	it("a command that does not exist", () => {
		expectRefusal(["fly"], /fly/);
	});
});

describe("lguest", () => {
	it("explains itself with --help, on standard output", () => {
		const { status, stdout, stderr } = lguest(["--help"]);
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		expect(stdout).toContain("lguest run");
		expect(stdout).toContain("--memory");
	});

	it("gives the package's version with --version", () => {
		const { version } = JSON.parse(
			readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
		);
		const { status, stdout } = lguest(["--version"]);
		expect(status).toBe(0);
		expect(stdout).toContain(version);
	});

	it("reports a triple fault with address, mode and code, status 3", () => {
		const { code, faultAddress } = tripleFaultCode();
		const path = file("triple-fault", multibootImage(code));
		const { status, stderr } = lguest(["run", "--memory", "16M", path]);
		expect(stderr).toMatch(/triple fault/i);
		expect(stderr.toLowerCase()).toContain(faultAddress.toString(16));
		expect(stderr).toMatch(/32-bit protected/i);
		expect(stderr.toLowerCase()).toMatch(/0f 0b/);
		expect(stderr).not.toMatch(/^\s+at /m);
		expect(status).toBe(STATUS_TRIPLE_FAULT);
	});

	it("ends with the status a guest writes to the debug exit port", () => {
		const path = file("exit", multibootImage(debugExitCode(0xf4, 42)));
		const { status, stderr } = lguest([
			...["run", "--memory", "16M", "--debug-exit", "0xf4", path],
		]);
		expect({ status, stderr }).toEqual({ status: 42, stderr: "" });
	});

	it.skipIf(kernel === undefined)(
		"ends with status 143 on SIGTERM during boot",
		async () => {
			const session = GuestSession.boot("lguest", { kernel: kernel ?? "" });
			try {
				await session.waitFor("Linux version");
				session.signal("SIGTERM");
				const { status } = await session.exit({ totalSeconds: 20 });
				expect(status).toBe(STATUS_SIGTERM);
				expect(session.stderr).not.toMatch(/^\s+at /m);
			} finally {
				await session.close();
			}
		},
	);
});
