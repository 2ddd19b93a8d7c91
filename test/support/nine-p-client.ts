/**
 * Plays a guest's 9p file system: makes messages, takes replies apart, and
 * throws `NinePError` for what a guest would see as an error. A session stands
 * behind it, or anything else that answers messages.
 */

import {
	MessageReader,
	MessageWriter,
	P9_RLERROR,
	P9_TATTACH,
	P9_TCLUNK,
	P9_TGETATTR,
	P9_TLCREATE,
	P9_TLOPEN,
	P9_TMKDIR,
	P9_TREAD,
	P9_TREADDIR,
	P9_TVERSION,
	P9_TWALK,
	P9_TWRITE,
} from "../../src/virtio/devices/nine-p/message.ts";

export const NOFID = 0xffff_ffff;

/** The number that Linux has for what went wrong. */
export class NinePError extends Error {
	readonly errno: number;

	constructor(errno: number) {
		super(`errno ${errno}`);
		this.errno = errno;
	}
}

/** Whoever answers messages. */
export interface NinePServer {
	answer(message: Uint8Array, roomBytes: number): Promise<Uint8Array>;
}

/** A directory's entry as READDIR gives it. */
export interface Entry {
	readonly name: string;
	readonly id: bigint;
	readonly type: number;
}

/** One guest. */
export class NinePClient {
	readonly server: NinePServer;
	#tag = 0;
	#fid = 100;

	constructor(server: NinePServer) {
		this.server = server;
	}

	/** With fid 0 at the top. */
	static async attached(server: NinePServer): Promise<NinePClient> {
		const client = new NinePClient(server);
		await client.version();
		await client.attach(0);
		return client;
	}

	/** The reply's body. */
	async request(
		type: number,
		build: (body: MessageWriter) => unknown = () => {},
		roomBytes = 1 << 20,
	): Promise<MessageReader> {
		const body = new MessageWriter();
		build(body);
		const tag = this.#tag++ & 0x7fff;
		const reply = await this.server.answer(body.finish(type, tag), roomBytes);
		const view = new DataView(reply.buffer, reply.byteOffset);
		if (view.getUint16(5, true) !== tag) throw new Error("a stranger's reply");
		if (view.getUint32(0, true) !== reply.length)
			throw new Error("a wrong size");
		const reader = new MessageReader(reply);
		if (view.getUint8(4) === P9_RLERROR) throw new NinePError(reader.u32());
		if (view.getUint8(4) !== type + 1) throw new Error("a wrong type");
		return reader;
	}

	newFid(): number {
		return this.#fid++;
	}

	async version(messageBytes = 65_536, version = "9P2000.L") {
		const reply = await this.request(P9_TVERSION, (body) =>
			body.u32(messageBytes).text(version),
		);
		return { messageBytes: reply.u32(), version: reply.text() };
	}

	async attach(fid: number, path = ""): Promise<void> {
		await this.request(P9_TATTACH, (body) =>
			body.u32(fid).u32(NOFID).text("root").text(path).u32(0),
		);
	}

	/** How far it got, and the fid if that was all the way. */
	async walk(from: number, ...names: string[]) {
		const fid = this.newFid();
		const reply = await this.request(P9_TWALK, (body) => {
			body.u32(from).u32(fid).u16(names.length);
			for (const name of names) body.text(name);
		});
		const steps = reply.u16();
		const qids = Array.from({ length: steps }, () => qidOf(reply));
		return { fid, steps, qids };
	}

	/** The fid of a path below the top, which must be there. */
	async find(path: string): Promise<number> {
		const names = path.split("/").filter((name) => name !== "");
		const { fid, steps } = await this.walk(0, ...names);
		if (steps < names.length) throw new NinePError(2);
		return fid;
	}

	async open(path: string, flags = 0): Promise<number> {
		const fid = await this.find(path);
		await this.request(P9_TLOPEN, (body) => body.u32(fid).u32(flags));
		return fid;
	}

	async create(directory: string, name: string, flags = 2, mode = 0o644) {
		const fid = await this.find(directory);
		await this.request(P9_TLCREATE, (body) =>
			body.u32(fid).text(name).u32(flags).u32(mode).u32(0),
		);
		return fid;
	}

	async makeDirectory(directory: string, name: string, mode = 0o755) {
		const fid = await this.find(directory);
		await this.request(P9_TMKDIR, (body) =>
			body.u32(fid).text(name).u32(mode).u32(0),
		);
	}

	async read(fid: number, offset: number, count: number): Promise<Uint8Array> {
		const reply = await this.request(P9_TREAD, (body) =>
			body.u32(fid).u64(BigInt(offset)).u32(count),
		);
		return reply.bytes(reply.u32());
	}

	async write(fid: number, offset: number, data: Uint8Array): Promise<number> {
		const reply = await this.request(P9_TWRITE, (body) =>
			body.u32(fid).u64(BigInt(offset)).u32(data.length).bytes(data),
		);
		return reply.u32();
	}

	async clunk(fid: number): Promise<void> {
		await this.request(P9_TCLUNK, (body) => body.u32(fid));
	}

	async attributes(fid: number) {
		const reply = await this.request(P9_TGETATTR, (body) =>
			body.u32(fid).u64(0x7ffn),
		);
		reply.u64();
		const qid = qidOf(reply);
		const [mode, uid, gid] = [reply.u32(), reply.u32(), reply.u32()];
		const [links, , size] = [reply.u64(), reply.u64(), reply.u64()];
		const [, blocks] = [reply.u64(), reply.u64()];
		const times = Array.from({ length: 6 }, () => reply.u64());
		return { qid, mode, uid, gid, links, size, blocks, times };
	}

	/** All entries of a directory, however many messages that takes. */
	async list(path: string, count = 60_000): Promise<Entry[]> {
		const fid = await this.open(path);
		const entries: Entry[] = [];
		for (let offset = 0n; ; ) {
			const reply = await this.request(P9_TREADDIR, (body) =>
				body.u32(fid).u64(offset).u32(count),
			);
			const data = reply.bytes(reply.u32());
			if (data.length === 0) break;
			// As a message of its own, for the reader's sake.
			const reader = new MessageReader(
				new Uint8Array([...new Uint8Array(7), ...data]),
			);
			for (let left = data.length; left > 0; ) {
				const { id } = qidOf(reader);
				offset = reader.u64();
				const type = reader.u8();
				const name = reader.text();
				left -= 24 + new TextEncoder().encode(name).length;
				entries.push({ name, id, type });
			}
		}
		await this.clunk(fid);
		return entries;
	}
}

export function qidOf(reader: MessageReader) {
	return { type: reader.u8(), version: reader.u32(), id: reader.u64() };
}
