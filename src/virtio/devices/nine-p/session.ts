/**
 * The server's side of 9P2000.L (see D:224): one guest's conversation about a
 * tree of files, from message to reply. It knows neither rings nor devices.
 *
 * What a request does is in the files beside this one, a function for each
 * type. Here is what surrounds them: which version is spoken, which request is
 * meant, what a failure looks like, and what happens when the guest loses
 * patience (TFLUSH).
 *
 * Relies on a `FileSystemBackend`; the 9p device relies on it.
 *
 * @journey D:232 A conversation about files
 */

import { type FileSystemBackend, FileSystemError } from "../../file-system.ts";
import { ATTRIBUTE_REQUESTS } from "./attribute-requests.ts";
import { errnoOf } from "./errno.ts";
import { FidTable } from "./fids.ts";
import { FILE_REQUESTS } from "./file-requests.ts";
import { LockTable } from "./locks.ts";
import {
	MessageReader,
	MessageWriter,
	P9_RLERROR,
	P9_TATTACH,
	P9_TAUTH,
	P9_TCLUNK,
	P9_TFLUSH,
	P9_TVERSION,
} from "./message.ts";
import { NAME_REQUESTS } from "./name-requests.ts";
import {
	type Request,
	type RequestContext,
	refuse,
	writeQid,
} from "./request.ts";

/** Linux asks for 512,000 bytes at most over virtio. */
export const MOST_MESSAGE_BYTES = 512 * 1024;
/** With less there is no room for a name and its attributes. */
const LEAST_MESSAGE_BYTES = 4096;

const VERSION = "9P2000.L";

const REQUESTS: Readonly<Record<number, Request>> = {
	...NAME_REQUESTS,
	...FILE_REQUESTS,
	...ATTRIBUTE_REQUESTS,
	[P9_TAUTH]: refuse("EOPNOTSUPP"),
	[P9_TATTACH]: attach,
	[P9_TCLUNK]: ({ fids }, body) => fids.clunk(body.u32()),
};

/** Several guests on one tree see each other's locks. */
const LOCK_TABLES = new WeakMap<FileSystemBackend, LockTable>();

function locksOf(backend: FileSystemBackend): LockTable {
	const table = LOCK_TABLES.get(backend) ?? new LockTable();
	LOCK_TABLES.set(backend, table);
	return table;
}

/** Begin one for each life of a driver. */
export class NinePSession {
	#context: RequestContext & { messageBytes: number };
	readonly #backend: FileSystemBackend;
	/** By tag; several requests are under way at a time. */
	readonly #byTag = new Map<number, Promise<unknown>>();
	/** The same, and those whose tag a wild guest has used again. */
	readonly #underWay = new Set<Promise<unknown>>();
	/** Fids of conversations that are over, on their way out. */
	#closing: Promise<unknown> = Promise.resolve();

	constructor(backend: FileSystemBackend) {
		this.#backend = backend;
		this.#context = this.#begin(LEAST_MESSAGE_BYTES);
	}

	/** No request or reply is longer. */
	get messageBytes(): number {
		return this.#context.messageBytes;
	}

	/**
	 * The reply to a message of at least `HEADER_BYTES`, in at most `roomBytes`.
	 * It always resolves: what goes wrong is in the reply.
	 */
	async answer(
		message: Uint8Array,
		roomBytes: number,
	): Promise<Uint8Array<ArrayBuffer>> {
		const view = new DataView(message.buffer, message.byteOffset);
		const type = view.getUint8(4);
		const tag = view.getUint16(5, true);
		const acting = this.#act(type, message);
		this.#byTag.set(tag, acting);
		this.#underWay.add(acting);
		try {
			const reply = await acting;
			if (reply.lengthBytes > roomBytes) throw new FileSystemError("EMSGSIZE");
			return reply.finish(type + 1, tag);
		} catch (error) {
			const failure = new MessageWriter().u32(errnoOf(error));
			return failure.finish(P9_RLERROR, tag);
		} finally {
			this.#underWay.delete(acting);
			if (this.#byTag.get(tag) === acting) this.#byTag.delete(tag);
		}
	}

	/** The guest is gone; resolves when everything it held is released. */
	async end(): Promise<void> {
		this.#hangUp();
		await this.#closing;
	}

	async #act(type: number, message: Uint8Array): Promise<MessageWriter> {
		const body = new MessageReader(message);
		const reply = new MessageWriter();
		if (type === P9_TVERSION) this.#agreeOnVersion(body, reply);
		else if (type === P9_TFLUSH) await this.#flush(body.u16());
		else {
			const request = REQUESTS[type] ?? refuse("EOPNOTSUPP");
			await request(this.#context, body, reply);
		}
		return reply;
	}

	/** The conversation starts anew: nothing from before is known any more. */
	#agreeOnVersion(body: MessageReader, reply: MessageWriter): void {
		const wanted = body.u32();
		const version = body.text();
		if (wanted < LEAST_MESSAGE_BYTES) throw new FileSystemError("EMSGSIZE");
		this.#hangUp();
		const messageBytes = Math.min(wanted, MOST_MESSAGE_BYTES);
		this.#context = this.#begin(messageBytes);
		reply.u32(messageBytes).text(version === VERSION ? VERSION : "unknown");
	}

	/** What the guest does not want to wait for is waited for, as nothing here is slow. */
	async #flush(tag: number): Promise<void> {
		const acting = this.#byTag.get(tag);
		await acting?.then(
			() => {},
			() => {},
		);
	}

	#begin(messageBytes: number): RequestContext & { messageBytes: number } {
		const backend = this.#backend;
		return {
			backend,
			fids: new FidTable(),
			locks: locksOf(backend),
			session: {},
			messageBytes,
			requireWritable() {
				if (backend.readOnly) throw new FileSystemError("EROFS");
			},
		};
	}

	#hangUp(): void {
		const { fids, locks, session } = this.#context;
		locks.dropAll(session);
		// Requests under way may still add fids.
		const last = Promise.allSettled(this.#underWay);
		const closed = Promise.all([this.#closing, fids.clunkAll()]);
		this.#closing = closed.then(() => last).then(() => fids.clunkAll());
	}
}

/** The first fid: the top of the tree, or a directory below it. */
async function attach(
	{ backend, fids }: RequestContext,
	body: MessageReader,
	reply: MessageWriter,
): Promise<void> {
	const number = body.u32();
	body.u32(); // Of an authentication that we do not have.
	body.text(); // The user's name; whoever has the guest has the tree.
	const path = body.text();
	fids.checkFree(number);
	let node = await backend.root();
	try {
		for (const name of path.split("/").filter((part) => part !== "")) {
			if (name === "." || name === "..") throw new FileSystemError("EINVAL");
			const next = await node.find(name);
			node.release();
			node = next;
		}
		writeQid(reply, await node.attributes());
	} catch (error) {
		node.release();
		throw error;
	}
	fids.add(number, node);
}
