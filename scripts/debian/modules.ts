/**
 * Kernel modules of a Debian kernel package: a few by name, with everything
 * they depend on, in the order in which `insmod` must be given them. A module
 * names its dependencies itself, so no index of the package is needed.
 * `scripts/debian.ts` relies on it.
 */

import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { extractMembers } from "./apt.ts";

/** A module that lies unpacked on this machine. */
export interface KernelModule {
	/** As `lsmod` prints it. */
	readonly name: string;
	readonly path: string;
}

/**
 * Unpacks what `wanted` needs from `deb` into `into`; a second call finds it
 * there. File names may have dashes where module names have underscores.
 */
export async function unpackModules(
	deb: string,
	wanted: readonly string[],
	into: string,
): Promise<KernelModule[]> {
	await mkdir(into, { recursive: true });
	for (let missing: string[] = []; ; ) {
		const have = await findModules(into);
		const order: KernelModule[] = [];
		const lacking = new Set<string>();
		for (const name of wanted) await collect(name, have, order, lacking);
		const repeated = missing.find((name) => lacking.has(name));
		if (repeated !== undefined) {
			throw new Error(`${basename(deb)} holds no module ${repeated}`);
		}
		if (lacking.size === 0) return order;
		missing = [...lacking];
		await extractMembers(deb, missing.map(memberPattern), into);
	}
}

/** Dependencies first. */
async function collect(
	name: string,
	have: ReadonlyMap<string, string>,
	order: KernelModule[],
	lacking: Set<string>,
): Promise<void> {
	if (order.some((module) => module.name === name)) return;
	const path = have.get(name);
	if (path === undefined) {
		lacking.add(name);
		return;
	}
	for (const needed of await dependenciesOf(path)) {
		await collect(needed, have, order, lacking);
	}
	order.push({ name, path });
}

/** From the module's own description, a list of NUL-terminated `key=value`. */
async function dependenciesOf(path: string): Promise<string[]> {
	const text = (await readFile(path)).toString("latin1");
	const list = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
	// Here, too, file names may have dashes.
	return list
		.split(",")
		.filter((name) => name !== "")
		.map((name) => name.replaceAll("-", "_"));
}

function memberPattern(name: string): string {
	return `./lib/modules/*/${name.replaceAll("_", "[-_]")}.ko`;
}

async function findModules(directory: string): Promise<Map<string, string>> {
	const files = await readdir(directory, { recursive: true });
	return new Map(
		files
			.filter((file) => file.endsWith(".ko"))
			.map((file) => [
				basename(file, ".ko").replaceAll("-", "_"),
				join(directory, file),
			]),
	);
}
