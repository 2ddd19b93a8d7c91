/**
 * Disks whose backend lives in the caller's thread: the guest's thread has a
 * backend that asks over the wire, and the caller's end answers from the real
 * one. What the real one refuses becomes an I/O error in the guest.
 *
 * Relies on the protocol and the backends; both ends of the wire rely on it.
 *
 * @journey L:235 A disk next door
 */

import { LguestError } from "../errors.ts";
import type { BlockBackend, Completion } from "../virtio/backends.ts";
import type { Channel } from "./channel.ts";
import type { RemoteDiskDescription } from "./description.ts";
import { fromPlain, toPlain } from "./error-transfer.ts";
import type { RemoteAnswer, RemoteCall } from "./protocol.ts";

type Request = Omit<RemoteCall, "kind" | "call">;

/** The calls of all remote disks of a guest, and who waits for which answer. */
export class RemoteCaller {
	readonly #channel: Channel;
	readonly #waiting = new Map<number, (answer: RemoteAnswer) => void>();
	#calls = 0;

	constructor(channel: Channel) {
		this.#channel = channel;
	}

	async call(request: Request): Promise<Uint8Array | undefined> {
		const call = this.#calls++;
		const answered = new Promise<RemoteAnswer>((resolve) => {
			this.#waiting.set(call, resolve);
		});
		this.#channel.post({ kind: "remote-call", call, ...request });
		const { error, bytes } = await answered;
		if (error !== undefined) throw fromPlain(error);
		return bytes;
	}

	receive(answer: RemoteAnswer): void {
		this.#waiting.get(answer.call)?.(answer);
		this.#waiting.delete(answer.call);
	}
}

/** In the guest's thread. */
export class RemoteDisk implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	readonly #remote: number;
	readonly #caller: RemoteCaller;

	constructor(description: RemoteDiskDescription, caller: RemoteCaller) {
		this.sizeBytes = description.sizeBytes;
		this.readOnly = description.readOnly;
		this.#remote = description.remote;
		this.#caller = caller;
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		const bytes = await this.#ask("read", offset, target.length);
		if (bytes?.length !== target.length) {
			throw new LguestError("A disk gave fewer bytes than it was asked for.");
		}
		target.set(bytes);
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		const bytes = source.slice();
		await this.#ask("write", offset, bytes.length, { bytes });
	}

	async flush(): Promise<void> {
		await this.#ask("flush", 0, 0);
	}

	async writeZeroes(
		offset: number,
		lengthBytes: number,
		mayUnmap: boolean,
	): Promise<void> {
		await this.#ask("writeZeroes", offset, lengthBytes, { mayUnmap });
	}

	async close(): Promise<void> {
		await this.#ask("close", 0, 0);
	}

	#ask(
		method: RemoteCall["method"],
		offset: number,
		lengthBytes: number,
		more: Partial<Request> = {},
	): Promise<Uint8Array | undefined> {
		const remote = this.#remote;
		return this.#caller.call({ remote, method, offset, lengthBytes, ...more });
	}
}

/** In the caller's thread: does what `call` asks of `backend`. */
export async function answerRemoteCall(
	call: RemoteCall,
	backend: BlockBackend | undefined,
): Promise<RemoteAnswer> {
	const answer = { kind: "remote-answer", call: call.call } as const;
	try {
		if (backend === undefined) throw new LguestError("No such disk.");
		const bytes = new Uint8Array(call.method === "read" ? call.lengthBytes : 0);
		await perform(call, backend, bytes);
		return { ...answer, bytes };
	} catch (error) {
		return { ...answer, error: toPlain(error) };
	}
}

function perform(
	call: RemoteCall,
	backend: BlockBackend,
	target: Uint8Array,
): Completion {
	const { offset, lengthBytes } = call;
	switch (call.method) {
		case "read":
			return backend.read(offset, target);
		case "write":
			return backend.write(offset, call.bytes ?? new Uint8Array(0));
		case "flush":
			return backend.flush();
		case "writeZeroes":
			return backend.writeZeroes(offset, lengthBytes, call.mayUnmap ?? false);
		case "close":
			return backend.close?.();
	}
}
