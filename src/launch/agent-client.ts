/**
 * The caller's side of the agent: knows whether it is there, starts commands,
 * and gives each what the agent says of it. The end of the agent is the end of
 * all of them.
 *
 * Relies on the pipe and the protocol; the `Guest` relies on it.
 *
 * @journey L:252 Somebody inside
 */

import { AgentError } from "../errors.ts";
import {
	AGENT_VERSION,
	encodeFrame,
	encodeSpawn,
	FRAME_HELLO,
	FRAME_SPAWN,
	FrameDecoder,
	type SpawnRequest,
	wordAt,
} from "./agent-protocol.ts";
import { GuestProcess } from "./guest-process.ts";
import type { PipeEnd } from "./pipe.ts";

/** How long after the port was closed the guest itself may end. */
const LOST_FOR_MS = 1000;

/** For the life of a guest, restarts included. */
export class AgentClient {
	readonly #end: PipeEnd;
	readonly #decoder = new FrameDecoder();
	readonly #processes = new Map<number, GuestProcess>();
	#channels = 0;
	#present = false;
	/** Why there will never be one. */
	#gone: Error | undefined;
	#waiting: (() => void)[] = [];
	/** Runs while it is open why the agent went. */
	#lost: UniversalTimer | undefined;

	constructor(end: PipeEnd) {
		this.#end = end;
		end.onArrival = () => this.#receive();
	}

	/** Resolves when the agent has spoken; rejects if it never will. */
	async present(): Promise<void> {
		while (!this.#present) {
			if (this.#gone !== undefined) throw this.#gone;
			await new Promise<void>((resolve) => {
				this.#waiting.push(resolve);
			});
		}
	}

	/** Starts something; the agent is there. */
	spawn(request: SpawnRequest): GuestProcess {
		if (this.#gone !== undefined) throw this.#gone;
		const contents = encodeSpawn(request);
		this.#channels += 1;
		const channel = this.#channels;
		const process = new GuestProcess(
			(type, contents) => this.#send(channel, type, contents),
			() => this.#processes.delete(channel),
		);
		this.#processes.set(channel, process);
		this.#send(channel, FRAME_SPAWN, contents);
		return process;
	}

	/** Something in the guest has opened the port, or closed it. */
	opened(open: boolean): void {
		this.#decoder.reset();
		if (open) return;
		this.#present = false;
		// A guest that ends closes the port first, and that is the better reason.
		this.#lost ??= setTimeout(() => this.#giveUp(), LOST_FOR_MS);
	}

	/** The guest has ended. */
	release(error: Error): void {
		clearTimeout(this.#lost);
		this.#gone = error;
		this.#present = false;
		this.#failAll(error);
		this.#wake();
	}

	/** Credit of its own bounds what each process sends, so nobody waits here. */
	#send(channel: number, type: number, contents?: Uint8Array): void {
		if (this.#processes.has(channel)) {
			void this.#end.send(encodeFrame(channel, type, contents));
		}
	}

	#receive(): void {
		for (let bytes = this.#end.take(); bytes.length > 0; ) {
			this.#dispatch(bytes);
			bytes = this.#end.take();
		}
	}

	#dispatch(bytes: Uint8Array): void {
		try {
			for (const frame of this.#decoder.push(bytes)) {
				if (frame.type === FRAME_HELLO) this.#greet(wordAt(frame.contents, 0));
				else this.#processes.get(frame.channel)?.receive(frame);
			}
		} catch (error) {
			if (!(error instanceof AgentError)) throw error;
			this.release(error);
		}
	}

	#greet(version: number): void {
		if (version !== AGENT_VERSION) {
			throw new AgentError(
				`The guest's agent speaks version ${version}, not ${AGENT_VERSION}.`,
				{ hint: "Use the agent that came with this lguest." },
			);
		}
		if (this.#lost !== undefined) this.#giveUp();
		this.#present = true;
		this.#wake();
	}

	/** What the old agent ran is lost, whether or not a new one is there. */
	#giveUp(): void {
		clearTimeout(this.#lost);
		this.#lost = undefined;
		this.#failAll(new AgentError("The guest's agent has gone."));
	}

	#failAll(error: Error): void {
		const processes = [...this.#processes.values()];
		this.#processes.clear();
		for (const process of processes) process.fail(error);
	}

	#wake(): void {
		for (const resolve of this.#waiting.splice(0)) resolve();
	}
}
