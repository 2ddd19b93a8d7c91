/**
 * Runs a Guest as the classic command line says, and ends as the original did:
 * whatever a Guest dies of, `poweroff` included, is a message behind the
 * program's name and status 1. Three Ctrl-C within a second are status 2.
 *
 * Relies on the core's public face and the files beside it; `main.ts` relies
 * on it.
 *
 * @journey L:435 CRASH: Power down
 */

import {
	Block,
	type DeviceModel,
	Entropy,
	type LguestEnding,
	LguestError,
	LguestMachine,
	LoneHost,
	Net,
} from "../index.ts";
import type { BlockBackend } from "../virtio/backends.ts";
import type { ClassicDevice, ClassicOptions } from "./classic-arguments.ts";
import { nodeDecompressors } from "./decompress.ts";
import { openDisk } from "./disk-files.ts";
import { readInputFile } from "./input-file.ts";
import { Progress } from "./progress.ts";
import { nodeRegionService } from "./region-service.ts";
import { StandardStreams } from "./standard-streams.ts";
import { breathe } from "./surroundings.ts";

const STATUS_INTERRUPTED = 2;
const STATUS_OUTPUT_LOST = 128 + 13;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };
const MIB = 2 ** 20;

type Surroundings = Parameters<
	NonNullable<Parameters<typeof LguestMachine.create>[0]["devices"]>
>[0];
/** A device that is made anew for each restart. */
type MakeDevice = (surroundings: Surroundings) => DeviceModel;

/** Runs it; the value is the exit status, and a Guest's death an error. */
export async function classicCommand(options: ClassicOptions): Promise<number> {
	const progress = new Progress(process.stderr);
	const streams = new StandardStreams();
	const disks: BlockBackend[] = [];
	try {
		const kernel = await readInputFile(
			options.kernelPath,
			"kernel",
			progress.show,
		);
		const initrd = await initrdOf(options, progress);
		const makers = await Promise.all(
			options.devices.map((device) => openDevice(device, disks)),
		);
		const machine = await LguestMachine.create({
			memoryBytes: options.memoryMib * MIB,
			kernel,
			...(initrd !== undefined && { initrd }),
			commandLine: options.kernelArguments,
			engine: options.engine,
			console: streams,
			devices: (surroundings) => makers.map((make) => make(surroundings)),
			unpack: nodeDecompressors,
			regionService: nodeRegionService(),
			breathe,
		});
		progress.clear();
		if (options.verbose) process.stdout.write(`${machine.description()}\n`);
		return await runWith(machine, streams);
	} finally {
		progress.clear();
		for (const disk of disks) await disk.close?.();
	}
}

async function initrdOf(
	{ initrdPath }: ClassicOptions,
	progress: Progress,
): Promise<Uint8Array | undefined> {
	if (initrdPath === undefined) return undefined;
	return readInputFile(initrdPath, "initrd", progress.show);
}

async function openDevice(
	device: ClassicDevice,
	disks: BlockBackend[],
): Promise<MakeDevice> {
	switch (device.kind) {
		case "rng":
			return ({ fillRandom }) => new Entropy({ fill: fillRandom });
		case "block": {
			const disk = await openDisk({ path: device.path });
			const name = `disk${disks.push(disk) - 1}`;
			return () => new Block(disk, name);
		}
		case "net": {
			const { ip, mac } = device;
			return ({ fillRandom }) => {
				const host = new LoneHost(ip, localMac(fillRandom));
				// As the original: each queue takes one of few interrupts.
				return new Net(host, mac ?? localMac(fillRandom), { control: false });
			};
		}
	}
}

/** One that nobody sells: locally administered, for one station. */
function localMac(fillRandom: (target: Uint8Array) => void): Uint8Array {
	const mac = new Uint8Array(6);
	fillRandom(mac);
	mac[0] = 2;
	return mac;
}

/** Lends the Guest the terminal, and takes it back whatever happens. */
async function runWith(
	machine: LguestMachine,
	streams: StandardStreams,
): Promise<number> {
	let status = 0;
	const stop = (wanted: number) => {
		status ||= wanted;
		machine.stop();
	};
	streams.onInterrupt = () => stop(STATUS_INTERRUPTED);
	streams.onOutputLost = () => stop(STATUS_OUTPUT_LOST);
	for (const [name, number] of Object.entries(SIGNALS)) {
		process.on(name, () => stop(128 + number));
	}
	streams.start();
	try {
		return statusOf(await machine.run()) || status;
	} finally {
		streams.stop();
	}
}

function statusOf(ending: LguestEnding): number {
	if (ending.kind === "stopped") return 0;
	throw new LguestError(ending.reason);
}
