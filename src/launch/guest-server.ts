/**
 * The guest's thread: makes a machine of the description that comes over the
 * wire, runs it, and does what the caller asks meanwhile. An embedder's worker
 * is this function and what it needs of its surroundings.
 *
 * Relies on the assembly and the pipes; the embedders' workers rely on it.
 *
 * @journey L:240 The guest's own thread
 */

import type { EndReason, Machine } from "../machine/machine.ts";
import { type Assembly, assemble, type GuestSurroundings } from "./assemble.ts";
import type { Channel } from "./channel.ts";
import type { GuestDescription } from "./description.ts";
import { toPlain } from "./error-transfer.ts";
import { GuestPipe } from "./guest-pipe.ts";
import { PipeEnd } from "./pipe.ts";
import {
	type FromGuest,
	PIPE_AGENT,
	PIPE_CONSOLE,
	type ToGuest,
} from "./protocol.ts";
import { RemoteCaller, RemoteDisk } from "./remote-disk.ts";

/** Serves one guest over the wire; everything else follows from its messages. */
export function serveGuest(
	channel: Channel,
	surroundings: GuestSurroundings,
): void {
	const server = new GuestServer(channel, surroundings);
	channel.onMessage = (message) => server.receive(message as ToGuest);
}

class GuestServer {
	readonly #channel: Channel;
	readonly #surroundings: GuestSurroundings;
	readonly #remote: RemoteCaller;
	readonly #consoleEnd: PipeEnd;
	readonly #agentEnd: PipeEnd;
	#console: GuestPipe | undefined;
	#machine: Machine | undefined;
	/** Asked to stop before there was a machine. */
	#stopped = false;

	constructor(channel: Channel, surroundings: GuestSurroundings) {
		this.#channel = channel;
		this.#surroundings = surroundings;
		this.#remote = new RemoteCaller(channel);
		this.#consoleEnd = new PipeEnd(channel, PIPE_CONSOLE);
		this.#agentEnd = new PipeEnd(channel, PIPE_AGENT);
	}

	receive(message: ToGuest): void {
		switch (message.kind) {
			case "create":
				void this.#live(message.description);
				break;
			case "pipe-bytes":
			case "pipe-credit":
			case "pipe-end":
				this.#pipe(message.pipe).receive(message);
				break;
			case "remote-answer":
				this.#remote.receive(message);
				break;
			case "stop":
				this.#stopped = true;
				this.#machine?.stop();
				break;
			case "pause":
				void this.#pause(message.request);
				break;
			case "resume":
				this.#machine?.resume();
				break;
			case "power-button":
				this.#machine?.pressPowerButton();
				break;
			case "terminal":
				this.#console?.resize(message.size);
				break;
			case "balloon":
				this.#resizeBalloon(message.targetBytes);
				break;
			case "balloon-state":
				void this.#sendBalloonState(message.request);
				break;
			case "balloon-hints":
				void this.#sendBalloonHints(message.request);
				break;
			case "statistics":
				this.#sendStatistics(message.request);
				break;
		}
	}

	#post(message: FromGuest): void {
		this.#channel.post(message);
	}

	#pipe(pipe: number): PipeEnd {
		return pipe === PIPE_AGENT ? this.#agentEnd : this.#consoleEnd;
	}

	/** From the description to the end; the last message is the last thing done. */
	async #live(description: GuestDescription): Promise<void> {
		try {
			const assembly = await this.#assemble(description);
			const reason = await this.#run(assembly);
			this.#post({ kind: "ended", reason });
		} catch (error) {
			this.#post({ kind: "failed", error: toPlain(error) });
		}
	}

	async #run({ machine, close }: Assembly): Promise<EndReason> {
		try {
			this.#machine = machine;
			this.#post({ kind: "created" });
			this.#progress("booting");
			if (this.#stopped) machine.stop();
			return await machine.run();
		} finally {
			await close();
		}
	}

	#assemble(description: GuestDescription): Promise<Assembly> {
		const size = description.terminal ?? { columns: 80, rows: 24 };
		const console = new GuestPipe(this.#consoleEnd, size);
		this.#console = console;
		const agent = new GuestPipe(this.#agentEnd);
		agent.onGuestOpen = (open) => this.#post({ kind: "agent-open", open });
		return assemble(description, this.#surroundings, {
			console,
			agent,
			onProgress: (...progress) => this.#progress(...progress),
			onTrouble: (error) =>
				this.#post({ kind: "trouble", error: toPlain(error) }),
			onDevice: (event) => this.#post({ kind: "device", event }),
			openRemote: (disk) => new RemoteDisk(disk, this.#remote),
		});
	}

	#progress(activity: string, doneBytes = 0, totalBytes = 0): void {
		this.#post({ kind: "progress", activity, doneBytes, totalBytes });
	}

	async #pause(request: number): Promise<void> {
		await this.#machine?.pause();
		this.#post({ kind: "paused", request });
	}

	#resizeBalloon(targetBytes: number): void {
		const balloon = this.#machine?.balloon;
		if (balloon !== undefined) balloon.targetBytes = targetBytes;
	}

	async #sendBalloonState(request: number): Promise<void> {
		const state = await this.#machine?.balloon?.state();
		this.#post({ kind: "balloon-state", request, state });
	}

	async #sendBalloonHints(request: number): Promise<void> {
		const asked = this.#machine?.balloon?.requestHints();
		const hintedBytes = await asked?.catch(() => undefined);
		this.#post({ kind: "balloon-hints", request, hintedBytes });
	}

	#sendStatistics(request: number): void {
		const statistics = this.#machine?.statistics();
		if (statistics === undefined) return;
		this.#post({
			kind: "statistics",
			request,
			statistics: this.#surroundings.addStatistics?.(statistics) ?? statistics,
		});
	}
}
