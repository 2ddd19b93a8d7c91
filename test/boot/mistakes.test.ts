/**
 * A user's mistakes with devices and memory: what is missing, in use, or too
 * much. One line and a hint for each, and nothing that they had is lost. (Those
 * with kernels and options are in `command-line.test.ts`, with agents in
 * `test/launch/exec.test.ts`.)
 */

import {
	existsSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { expectRefusal } from "../support/refusal.ts";
import { CLI } from "./engines.ts";
import { GuestSession } from "./session.ts";

vi.setConfig({ testTimeout: 120_000 });

const PRECIOUS = "what somebody needs tomorrow\n".repeat(512);

let directory: string;

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "lguest-mistakes-"));
});

afterAll(() => {
	rmSync(directory, { recursive: true, force: true });
});

const inside = (name: string): string => join(directory, name);

function precious(name: string): string {
	writeFileSync(inside(name), PRECIOUS);
	return inside(name);
}

describe("lguest run refuses", () => {
	it("a disk that does not exist, and makes none", () => {
		const path = inside("absent.img");
		expectRefusal(["run", "--disk", path], /absent\.img does not exist.*\n.+/);
		expect(existsSync(path)).toBe(false);
	});

	it("what is no kernel, before it makes an overlay for it", () => {
		const disk = ["--disk", `${precious("base")},overlay=${inside("changes")}`];
		expectRefusal(["run", ...disk, precious("novel")], /novel: .*not a kernel/);
		expect(existsSync(inside("changes"))).toBe(false);
	});

	it("a directory as a disk", () => {
		expectRefusal(["run", "--disk", directory], /is a directory.*\n.+/);
	});

	it("a file of another format, which it leaves as it is", () => {
		const path = precious("notes.qcow2");
		const args = ["run", "--disk", `${path},format=qcow2`];
		expectRefusal(args, /notes\.qcow2 is no qcow2 image.*\n.+/);
		expect(readFileSync(path, "latin1")).toBe(PRECIOUS);
	});

	it("a socket where something else is, which it leaves as it is", () => {
		const path = precious("letter");
		expectRefusal(["run", "--vsock", path], /something.*letter.*\n.+/);
		expect(readFileSync(path, "latin1")).toBe(PRECIOUS);
	});

	it("a socket in a directory that does not exist", () => {
		const path = inside("absent/socket");
		expectRefusal(["run", "--vsock", path], /vsock.*\n.*directory/);
	});

	it("a share that does not exist", () => {
		const share = `${inside("absent")}:tag`;
		expectRefusal(["run", "--share", share], /absent does not exist.*\n.+/);
	});

	it("a network of an unknown kind, or an interface that is not there", () => {
		expectRefusal(["run", "--net", "pigeon:1"], /pigeon.*\n.*switch:NAME/);
		expectRefusal(["run", "--net", "tap:nest0"], /nest0.*\n.+/);
	});

	it("more memory than a guest can have, or than there is", () => {
		expectRefusal(["run", "--memory", "64G"], /too much.*\n.*3583M/);
		const limited = ["prlimit", `--as=${4 * 2 ** 30}`];
		const args = ["run", "--memory", "3G"];
		expectRefusal(args, /cannot be had here.*\n.*smaller/, limited);
	});
});

describe("While a guest runs, another is refused", () => {
	let first: GuestSession;
	const disk = () => inside("shared.img");
	const socket = () => inside("socket");

	beforeAll(async () => {
		writeFileSync(disk(), new Uint8Array(1 << 20));
		const devices = ["--disk", disk(), "--vsock", socket()];
		first = new GuestSession([process.execPath, CLI, "run", ...devices]);
		await first.waitFor("# ");
	});

	afterAll(() => first.close());

	it("the disk", () => {
		expectRefusal(["run", "--disk", disk()], /shared\.img.*in use.*\n.+/i);
	});

	it("the socket, which goes on working", () => {
		expectRefusal(["run", "--vsock", socket()], /socket.*\n.+/);
		expect(existsSync(socket())).toBe(true);
	});
});
