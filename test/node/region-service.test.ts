/**
 * The thread that compiles regions, with a guest that needs some: what comes back
 * is what compiling beside the guest would give, the guest runs in it, and
 * neither an error there nor a forgotten thread does any harm.
 */

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { compileRegions } from "../../src/cpu/engine/compile-regions.ts";
import {
	Machine,
	type RegionRequest,
	type RegionResponse,
	type RegionService,
} from "../../src/index.ts";
import { nodeRegionService } from "../../src/node/region-service.ts";
import { breathe } from "../../src/node/surroundings.ts";
import { multibootImage } from "../boot/multiboot-image.ts";

/** inc eax; add ebx, eax; jmp to the first: it never ends by itself. */
const SPIN = [0x40, 0x01, 0xc3, 0xeb, 0xfb];

/** Runs a guest until `isOver` says so, which is asked whenever it looks for answers. */
async function runUntil(
	isOver: (machine: Machine) => boolean,
	regionService: RegionService,
): Promise<Machine> {
	const machine: Machine = await Machine.create({
		memoryBytes: 8 << 20,
		kernel: multibootImage(SPIN),
		console: {
			write: () => undefined,
			read: () => new Uint8Array(0),
			inputOpen: false,
			onInput: () => {},
		},
		breathe,
		regionService: {
			send: (request) => regionService.send(request),
			receive: () => {
				if (isOver(machine)) machine.stop();
				return regionService.receive();
			},
		},
	});
	expect(await machine.run()).toEqual({ kind: "stopped" });
	return machine;
}

it("compiles as the guest's own thread would, and the guest runs in it", async () => {
	const requests: RegionRequest[] = [];
	const responses: RegionResponse[] = [];
	const service = nodeRegionService();
	const machine = await runUntil(
		(guest) => guest.cpu.statistics.hotRetired > 1e6,
		{
			send: (request) => {
				requests.push(request);
				service.send(request);
			},
			receive: () => {
				const response = service.receive();
				if (response !== undefined) responses.push(response);
				return response;
			},
		},
	);
	expect(responses.length).toBeGreaterThan(0);
	for (const { id, module, wasmBytes, exits } of responses) {
		const request = requests.find((one) => one.id === id);
		const here = compileRegions(request as RegionRequest);
		expect({ wasmBytes, exits }).toEqual({
			wasmBytes: here.wasmBytes,
			exits: here.exits,
		});
		const shape = (one: WebAssembly.Module) => [
			WebAssembly.Module.imports(one),
			WebAssembly.Module.exports(one),
		];
		expect(shape(module)).toEqual(shape(here.module));
	}
	expect(machine.statistics().regionModules).toBe(responses.length);
});

it("leaves a guest running whose regions it cannot compile", async () => {
	const started = once(process, "worker");
	const service = nodeRegionService();
	let requests = 0;
	// The thread fails on the first request, and is gone for all others.
	const machine = await runUntil(
		(guest) => requests > 0 && guest.cpu.retiredCount() > 5e6,
		{
			send: () => {
				requests++;
				service.send({ id: 1 } as RegionRequest);
			},
			receive: () => service.receive(),
		},
	);
	const [worker] = (await started) as [Worker];
	if (worker.threadId !== -1) {
		await new Promise((resolve) => worker.once("exit", resolve));
	}
	expect(machine.statistics()).toMatchObject({ hotRetired: 0, regionsLive: 0 });
	service.send({ id: 2, features: [], regions: [] });
	expect(service.receive()).toBeUndefined();
});

it("keeps no process alive", () => {
	const source = new URL("../../src/node/region-service.ts", import.meta.url);
	const script = `
		import { nodeRegionService } from ${JSON.stringify(fileURLToPath(source))};
		nodeRegionService().send({ id: 1, features: [], regions: [] });
		console.log("done");`;
	const { status, signal, stdout } = spawnSync(
		process.execPath,
		["--input-type=module", "--eval", script],
		{ encoding: "utf8", timeout: 25_000 },
	);
	expect({ status, signal, stdout }).toEqual({
		...{ status: 0, signal: null, stdout: "done\n" },
	});
});
