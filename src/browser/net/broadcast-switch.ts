/**
 * A switch by name, on which all guests of an origin meet, whichever tab they
 * are in. There is no switch in one place that could go away: every member has
 * one of its own, with its guest in one socket and a cable to every other
 * member. What comes by such a cable goes to the guest only, as all the others
 * got it from where it came from.
 *
 * A message waits in its receiver's memory until the receiver has time, and a
 * tab may be frozen for hours. So each cable has credit: what is not taken
 * keeps the sender from sending more, and frames are lost, as on any network.
 *
 * Relies on BroadcastChannel and on the switch of the core;
 * `device-backends.ts` relies on it.
 *
 * @journey L:300 A switch without a place
 */

import {
	type FrameOffload,
	type NetBackend,
	NetSwitch,
	type SwitchPort,
} from "../../index.ts";

/** What may be under way to one member. */
const WINDOW_BYTES = 1 << 20;
/** What a frame counts besides its bytes: small ones cost, too. */
const FRAME_COST_BYTES = 256;
/** Longer is no frame: a large one with its headers. */
const LONGEST_FRAME = 65_536 + 64;
/** Who takes nothing for so long is gone, until it speaks again. */
const FORGET_AFTER_MS = 10_000;

/** What members say, on the common channel and on each other's. */
type SwitchMessage =
	| { readonly kind: "here" | "gone"; readonly from: string }
	| { readonly kind: "taken"; readonly from: string; readonly bytes: number }
	| {
			readonly kind: "frame";
			readonly from: string;
			readonly frame: Uint8Array;
			readonly offload?: FrameOffload;
	  };

/** The other end of a cable. */
interface Member {
	readonly channel: BroadcastChannel;
	readonly port: SwitchPort;
	underWayBytes: number;
	/** Taken from it, and not yet said so. */
	owedBytes: number;
	heardMs: number;
}

/** The backend of a network card. */
export class BroadcastSwitch implements NetBackend {
	readonly takesOffloads = true;
	readonly send: (frame: Uint8Array, offload?: FrameOffload) => void;
	onFrame: (frame: Uint8Array, offload?: FrameOffload) => void = () => {};
	readonly #name: string;
	readonly #id = crypto.randomUUID();
	readonly #switch = new NetSwitch();
	readonly #members = new Map<string, Member>();
	readonly #common: BroadcastChannel;
	readonly #own: BroadcastChannel;
	/** A frame is coming in: it goes out by no cable. */
	#isReceiving = false;
	#isClosed = false;

	/** Joins, and is heard by the others a little later. */
	constructor(name: string) {
		this.#name = `lguest-switch ${name}`;
		const port = this.#switch.port();
		port.onFrame = (frame, offload) => this.onFrame(frame, offload);
		this.send = port.send;
		this.#common = this.#listen(this.#name);
		this.#own = this.#listen(this.#channelOf(this.#id));
		this.#common.postMessage({ kind: "here", from: this.#id });
	}

	async close(): Promise<void> {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#common.postMessage({ kind: "gone", from: this.#id });
		for (const id of [...this.#members.keys()]) this.#forget(id);
		this.#common.close();
		this.#own.close();
	}

	#channelOf(id: string): string {
		return `${this.#name} ${id}`;
	}

	#listen(name: string): BroadcastChannel {
		const channel = new BroadcastChannel(name);
		channel.onmessage = ({ data }: MessageEvent<SwitchMessage>) =>
			this.#receive(data);
		return channel;
	}

	#receive(message: SwitchMessage): void {
		if (this.#isClosed) return;
		if (message.kind === "gone") {
			this.#forget(message.from);
			return;
		}
		const member = this.#members.get(message.from) ?? this.#meet(message.from);
		member.heardMs = performance.now();
		if (message.kind === "taken") {
			const { bytes } = message;
			member.underWayBytes = Math.max(0, member.underWayBytes - bytes);
		}
		if (message.kind === "frame") this.#take(member, message);
	}

	/** Somebody new, who has to know of us. */
	#meet(id: string): Member {
		const member: Member = {
			channel: new BroadcastChannel(this.#channelOf(id)),
			port: this.#switch.port(),
			underWayBytes: 0,
			owedBytes: 0,
			heardMs: 0,
		};
		member.port.onFrame = (frame, offload) =>
			this.#sendTo(id, member, frame, offload);
		this.#members.set(id, member);
		member.channel.postMessage({ kind: "here", from: this.#id });
		return member;
	}

	#forget(id: string): void {
		const member = this.#members.get(id);
		if (member === undefined) return;
		this.#members.delete(id);
		this.#switch.remove(member.port);
		member.channel.close();
	}

	#sendTo(
		id: string,
		member: Member,
		frame: Uint8Array,
		offload: FrameOffload | undefined,
	): void {
		if (this.#isReceiving) return;
		const cost = frame.length + FRAME_COST_BYTES;
		if (member.underWayBytes + cost > WINDOW_BYTES) {
			const silentMs = performance.now() - member.heardMs;
			if (silentMs > FORGET_AFTER_MS) this.#forget(id);
			return;
		}
		member.underWayBytes += cost;
		const from = this.#id;
		const more = offload === undefined ? {} : { offload };
		member.channel.postMessage({ kind: "frame", from, frame, ...more });
	}

	#take(
		member: Member,
		{ frame, offload }: SwitchMessage & { kind: "frame" },
	): void {
		member.owedBytes += frame.length + FRAME_COST_BYTES;
		if (member.owedBytes >= WINDOW_BYTES / 4) {
			const bytes = member.owedBytes;
			member.owedBytes = 0;
			member.channel.postMessage({ kind: "taken", from: this.#id, bytes });
		}
		if (frame.length > LONGEST_FRAME) return;
		this.#isReceiving = true;
		try {
			member.port.send(frame, offload);
		} finally {
			this.#isReceiving = false;
		}
	}
}
