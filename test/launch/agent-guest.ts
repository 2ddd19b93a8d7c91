/**
 * A guest with lguest's agent, for tests of `exec`: Debian's unmodified kernel,
 * its own virtio modules, busybox, and the agent started by a script. Relies on
 * Debian's packages and a C compiler for i386.
 */

import { readFile } from "node:fs/promises";
import type { LaunchOptions } from "lguest";
import { debianAsset, debianModules } from "../../scripts/debian.ts";
import { FREESTANDING, guestProgram } from "../../scripts/guest-program.ts";
import { initramfs, moduleFiles } from "../../scripts/initramfs.ts";

const START = `set -e
sh /lib/modules/load
mkdir -p /tmp
exec /bin/agent
`;

/** What to launch; undefined where something is not to be had. */
export async function agentGuest(): Promise<LaunchOptions | undefined> {
	const kernel = await debianAsset("kernel-686");
	const wanted = ["virtio_pci", "virtio_console"];
	const modules = await debianModules("kernel-686", wanted);
	const agent = await guestProgram("default/agent.c", FREESTANDING);
	if (kernel === undefined || !modules || agent === undefined) return undefined;
	const initrd = await initramfs([
		...(await moduleFiles(modules)),
		{ path: "bin/agent", data: await readFile(agent), executable: true },
		{ path: "start", data: START },
	]);
	if (initrd === undefined) return undefined;
	return {
		kernel,
		initrd,
		kernelArguments: ["SCRIPT=/start", "quiet"],
		memoryBytes: 128 << 20,
		engine: "auto",
		agent: true,
	};
}
