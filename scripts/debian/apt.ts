/**
 * Asks the machine's own apt for packages of any architecture without changing
 * the machine: the configured sources, proxies and keys are used, but package
 * lists live in a directory of ours, so neither root nor
 * `dpkg --add-architecture` is needed and a half-finished `apt-get update`
 * elsewhere cannot disturb us. `scripts/debian.ts` relies on it.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { moveIntoPlace } from "../../src/node/into-place.ts";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** A package as `apt` names it; `architecture` is Debian's word (`i386`). */
export interface PackageName {
	readonly name: string;
	readonly architecture: string;
}

/** True where the three tools we drive exist: on Debian and its children. */
export async function hasApt(): Promise<boolean> {
	try {
		await run("apt-get", ["--version"]);
		await run("apt-cache", ["--version"]);
		await run("dpkg-deb", ["--version"]);
		return true;
	} catch {
		return false;
	}
}

/**
 * A private view of the configured package sources. Lists are fetched on first
 * need and again when a download fails, because the usual cause is a list
 * older than the mirror.
 */
export class Apt {
	readonly #directory: string;
	readonly #say: (line: string) => void;
	#freshLists = false;

	constructor(directory: string, say: (line: string) => void) {
		this.#directory = directory;
		this.#say = say;
	}

	/** The first package named in `Depends`: what a kernel metapackage is for. */
	async firstDependency(target: PackageName): Promise<PackageName> {
		const record = await this.#show(target);
		const depends = /^Depends: ([a-z0-9.+-]+)/m.exec(record)?.[1];
		if (depends === undefined) {
			throw new Error(`package ${target.name} names no dependency`);
		}
		return { name: depends, architecture: target.architecture };
	}

	/** Fetches the package's file into `into` and gives its path. */
	async download(target: PackageName, into: string): Promise<string> {
		const have = await findDeb(target, into);
		if (have !== undefined) return have;
		await this.#show(target);
		try {
			return await this.#downloadNow(target, into);
		} catch (error) {
			if (this.#freshLists) throw error;
			await this.#update();
			return await this.#downloadNow(target, into);
		}
	}

	async #downloadNow(target: PackageName, into: string): Promise<string> {
		this.#say(`downloading ${target.name} (${target.architecture})`);
		const staging = join(into, `partial-${process.pid}`);
		await rm(staging, { recursive: true, force: true });
		await mkdir(staging, { recursive: true });
		try {
			const spec = `${target.name}:${target.architecture}`;
			await this.#apt("apt-get", ["-q", "download", spec], staging);
			const file = (await readdir(staging)).find((f) => f.endsWith(".deb"));
			if (file === undefined) {
				throw new Error(`apt-get download ${spec} left no package file`);
			}
			await moveIntoPlace(join(staging, file), join(into, file));
			return join(into, file);
		} finally {
			await rm(staging, { recursive: true, force: true });
		}
	}

	async #show(target: PackageName): Promise<string> {
		const known = await this.#tryShow(target);
		if (known !== undefined) return known;
		if (!this.#freshLists) await this.#update();
		const record = await this.#tryShow(target);
		if (record === undefined) {
			throw new Error(
				`apt knows no package ${target.name}:${target.architecture}; its sources should include Debian 12 "main"`,
			);
		}
		return record;
	}

	async #tryShow(target: PackageName): Promise<string | undefined> {
		if (!existsSync(join(this.#directory, "lists"))) return undefined;
		try {
			const spec = `${target.name}:${target.architecture}`;
			const out = await this.#apt("apt-cache", ["show", "-a", spec]);
			return out.includes("Package: ") ? newestRecord(out) : undefined;
		} catch {
			return undefined;
		}
	}

	/**
	 * A mirror in mid-sync fails some lists and delivers the others; `apt-get`
	 * reports that as an error, so success is judged later by whether the
	 * package is known.
	 */
	async #update(): Promise<void> {
		this.#say("fetching package lists");
		this.#freshLists = true;
		await mkdir(join(this.#directory, "lists", "partial"), { recursive: true });
		await mkdir(join(this.#directory, "archives", "partial"), {
			recursive: true,
		});
		try {
			await this.#apt("apt-get", ["-q", "update"]);
		} catch (error) {
			this.#say(`apt-get update was incomplete: ${firstLine(error)}`);
		}
	}

	async #apt(tool: string, args: string[], cwd?: string): Promise<string> {
		const { stdout } = await run(tool, [...this.#options(), ...args], {
			cwd,
			maxBuffer: MAX_OUTPUT_BYTES,
			env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
		});
		return stdout;
	}

	#options(): string[] {
		const settings = [
			"APT::Architecture=i386",
			"APT::Architectures::=i386",
			"APT::Architectures::=amd64",
			`Dir::State::lists=${join(this.#directory, "lists")}`,
			`Dir::Cache=${this.#directory}`,
			"Dir::State::status=/dev/null",
			"APT::Sandbox::User=",
			"Acquire::Languages=none",
			"Acquire::Retries=3",
			"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
			"Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
		];
		return settings.flatMap((setting) => ["-o", setting]);
	}
}

/**
 * Unpacks only the members matching `patterns` (tar wildcards) of a package. A
 * kernel package is 350 MB of modules of which we want one file. The shell
 * joins the two tools because `tar` stops reading at the archive's end mark,
 * which a pipe of ours would report as an error.
 */
export async function extractMembers(
	deb: string,
	patterns: readonly string[],
	into: string,
): Promise<void> {
	await mkdir(into, { recursive: true });
	await run("sh", [
		"-c",
		'deb=$1; shift; dpkg-deb --fsys-tarfile "$deb" | tar -x "$@"',
		"sh",
		deb,
		...["-C", into, "--no-same-owner", "--wildcards"],
		...patterns,
	]);
}

async function findDeb(
	target: PackageName,
	directory: string,
): Promise<string | undefined> {
	const files = existsSync(directory) ? await readdir(directory) : [];
	const prefix = `${target.name}_`;
	const file = files.find((f) => f.startsWith(prefix) && f.endsWith(".deb"));
	return file === undefined ? undefined : join(directory, file);
}

/** `apt-cache show` prints the candidate, which is the newest, first. */
function newestRecord(records: string): string {
	return records.split(/\n\n/)[0] ?? records;
}

function firstLine(error: unknown): string {
	const text = String((error as { stderr?: string }).stderr ?? error);
	return text.split("\n").find((line) => line.startsWith("E:")) ?? text;
}
