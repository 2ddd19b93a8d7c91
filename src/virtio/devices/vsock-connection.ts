/**
 * One connection of the socket device, from REQUEST to RST. Each side says how
 * much it can hold and how much it has handed on; the other sends no more than
 * fits (virtio 1.3 §5.10.6.3). So a slow reader on either side holds back the
 * writer on the other, and nobody holds more than was promised.
 *
 * A connection does not send: it says that it has something to, and the device
 * asks it when the driver has given it a buffer.
 *
 * Relies on a `VsockReceiver`; `vsock.ts` relies on it.
 *
 * @journey D:205 A conversation
 */

import type {
	Completion,
	VsockConnection,
	VsockReceiver,
} from "../backends.ts";
import {
	VIRTIO_VSOCK_OP_CREDIT_REQUEST,
	VIRTIO_VSOCK_OP_CREDIT_UPDATE,
	VIRTIO_VSOCK_OP_REQUEST,
	VIRTIO_VSOCK_OP_RESPONSE,
	VIRTIO_VSOCK_OP_RST,
	VIRTIO_VSOCK_OP_RW,
	VIRTIO_VSOCK_OP_SHUTDOWN,
	VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE,
	VIRTIO_VSOCK_SHUTDOWN_F_SEND,
	type VsockHeader,
} from "./vsock-packet.ts";

/** What a guest may send ahead of the receiver, as `buf_alloc`. */
export const RECEIVE_BUFFER_BYTES = 128 * 1024;

const BOTH = VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE | VIRTIO_VSOCK_SHUTDOWN_F_SEND;
const NOTHING = new Uint8Array(0);

/** What a connection tells the device. */
export interface ConnectionWires {
	/** It has something to send. */
	readonly ready: () => void;
	/** The guest is through with it, or shall be told so by RST. */
	readonly gone: (tellGuest: boolean) => void;
	/** The receiver has got everything: nothing is held any more. */
	readonly finished: () => void;
}

/** What goes into the next packet of a connection. */
export interface ConnectionPacket {
	readonly op: number;
	readonly flags: number;
	readonly data: Uint8Array;
}

interface Outgoing {
	readonly bytes: Uint8Array;
	at: number;
	readonly resolve: () => void;
	readonly reject: (reason: Error) => void;
}

/** `requested` by us, `offered` by the guest, `open`, or `gone`. */
type State = "requested" | "offered" | "open" | "gone";

/** Made by the device when either side asks for it. */
export class Connection implements VsockConnection {
	readonly port: number;
	readonly guestPort: number;
	/** Settled by the first packet that answers our request. */
	onAnswer: (refusal: string | undefined) => void = () => {};
	readonly #wires: ConnectionWires;
	#state: State;
	#receiver: VsockReceiver | undefined;
	/** REQUEST or RESPONSE, until it is sent. */
	#greeting: number | undefined;

	// To the guest.
	readonly #outgoing: Outgoing[] = [];
	#sentCount = 0;
	#guestBufferBytes = 0;
	#guestForwardedCount = 0;
	#creditAsked = false;
	#hasEnded = false;
	#ignores = false;
	#shutdownSent = 0;

	// From the guest.
	readonly #incoming: Uint8Array[] = [];
	#receivedCount = 0;
	#forwardedCount = 0;
	/** The last `forwardedCount` that the guest was told. */
	#announcedCount = 0;
	#creditWanted = false;
	#receiving = false;
	#guestHasEnded = false;
	#guestIgnores = false;
	#hasToldEnd = false;
	#closingReason: string | undefined;

	constructor(
		ports: { readonly port: number; readonly guestPort: number },
		by: "us" | "guest",
		wires: ConnectionWires,
	) {
		this.port = ports.port;
		this.guestPort = ports.guestPort;
		this.#wires = wires;
		this.#state = by === "us" ? "requested" : "offered";
		if (by === "us") this.#greeting = VIRTIO_VSOCK_OP_REQUEST;
	}

	get isGone(): boolean {
		return this.#state === "gone";
	}

	/** Both sides are done and the guest need only confirm: nobody would miss it. */
	get isLingering(): boolean {
		return this.#shutdownSent === BOTH;
	}

	/** For the header of each packet. */
	get credit(): Pick<VsockHeader, "bufferBytes" | "forwardedCount"> {
		return {
			bufferBytes: RECEIVE_BUFFER_BYTES,
			forwardedCount: this.#forwardedCount,
		};
	}

	/** Who gets what the guest sends; before anything can have come. */
	attach(receiver: VsockReceiver): void {
		this.#receiver = receiver;
		if (this.#state === "gone") this.#deliver();
	}

	/** The backend wants the connection that the guest asked for. */
	accept(receiver: VsockReceiver): void {
		this.attach(receiver);
		if (this.#state !== "offered") return;
		this.#state = "open";
		this.#greeting = VIRTIO_VSOCK_OP_RESPONSE;
		this.#wires.ready();
	}

	write(bytes: Uint8Array): Completion {
		if (this.#state === "gone" || this.#hasEnded || this.#guestIgnores) {
			const reason = this.#hasEnded ? "it was ended before" : this.#whyNot();
			return Promise.reject(new Error(`nothing can be sent: ${reason}`));
		}
		if (bytes.length === 0) return undefined;
		return new Promise((resolve, reject) => {
			this.#outgoing.push({ bytes, at: 0, resolve, reject });
			this.#wires.ready();
		});
	}

	end(): void {
		this.#hasEnded = true;
		this.#wires.ready();
	}

	ignore(): void {
		this.#ignores = true;
		this.#wires.ready();
	}

	reset(): void {
		this.abandon("it was reset from this side", true);
	}

	/** Whether `next` would give a packet. */
	get hasWork(): boolean {
		return this.#nextOp() !== undefined;
	}

	/** What to send now, with data of at most `roomBytes`. */
	next(roomBytes: number): ConnectionPacket | undefined {
		const op = this.#nextOp();
		if (op === undefined) return undefined;
		const data =
			op === VIRTIO_VSOCK_OP_RW ? this.#takeData(roomBytes) : NOTHING;
		const flags = op === VIRTIO_VSOCK_OP_SHUTDOWN ? this.#shutdownFlags() : 0;
		if (op === this.#greeting) this.#greeting = undefined;
		if (op === VIRTIO_VSOCK_OP_CREDIT_REQUEST) this.#creditAsked = true;
		this.#shutdownSent |= flags;
		// Every packet carries it.
		this.#announcedCount = this.#forwardedCount;
		this.#creditWanted = false;
		return { op, flags, data };
	}

	/** A packet from the guest. */
	handle(header: VsockHeader, data: Uint8Array): void {
		this.learnCredit(header);
		if (header.op === VIRTIO_VSOCK_OP_RST) {
			this.#abandonedByGuest();
		} else if (this.#state === "requested") {
			this.#handleAnswer(header);
		} else if (this.#state === "open") {
			this.#handleOpen(header, data);
		} else {
			this.abandon("the guest did not wait for an answer", true);
		}
		if (this.hasWork) this.#wires.ready();
	}

	/** Ends it at once; what the receiver has not taken is lost. */
	abandon(reason: string, tellGuest: boolean): void {
		if (this.#state === "gone") return;
		this.#incoming.length = 0;
		this.#hasToldEnd = true;
		// A reader that is in no hurry shall learn of it all the same.
		this.#receiving = false;
		this.#leave(reason, tellGuest);
	}

	/** As `abandon`, for one that is gone but has a reader that is not done. */
	cut(reason: string): void {
		this.#incoming.length = 0;
		this.#receiving = false;
		this.#hasToldEnd = true;
		this.#closingReason ??= reason;
		this.#deliver();
	}

	/** The guest does not confirm the end, and its place is needed. */
	evict(): void {
		this.#leave(undefined, true);
	}

	#handleAnswer({ op }: VsockHeader): void {
		if (op !== VIRTIO_VSOCK_OP_RESPONSE) {
			this.abandon("the guest answered out of turn", true);
			return;
		}
		this.#state = "open";
		this.#receiver?.opened?.(this);
		this.onAnswer(undefined);
	}

	#handleOpen({ op, flags }: VsockHeader, data: Uint8Array): void {
		switch (op) {
			case VIRTIO_VSOCK_OP_RW:
				this.#take(data);
				break;
			case VIRTIO_VSOCK_OP_SHUTDOWN:
				this.#guestShutsDown(flags);
				break;
			case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
				break;
			case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
				this.#creditWanted = true;
				break;
			default:
				this.abandon("the guest sent what makes no sense here", true);
		}
	}

	/** Every packet says what the guest can hold and has handed on. */
	learnCredit({ bufferBytes, forwardedCount }: VsockHeader): void {
		const isNews =
			bufferBytes !== this.#guestBufferBytes ||
			forwardedCount !== this.#guestForwardedCount;
		if (isNews) this.#creditAsked = false;
		this.#guestBufferBytes = bufferBytes;
		this.#guestForwardedCount = forwardedCount;
	}

	/** The guest may claim anything; a negative credit is none. */
	get #guestRoomBytes(): number {
		const underway = (this.#sentCount - this.#guestForwardedCount) >>> 0;
		return Math.max(0, this.#guestBufferBytes - underway);
	}

	#nextOp(): number | undefined {
		if (this.#state === "gone") return undefined;
		if (this.#greeting !== undefined) return this.#greeting;
		if (this.#state !== "open") return undefined;
		const hasData = this.#outgoing.length > 0;
		const hasRoom = this.#guestRoomBytes > 0;
		if (hasData && hasRoom) return VIRTIO_VSOCK_OP_RW;
		if ((this.#shutdownFlags() & ~this.#shutdownSent) !== 0) {
			return VIRTIO_VSOCK_OP_SHUTDOWN;
		}
		if (this.#creditWanted || this.#owesCredit) {
			return VIRTIO_VSOCK_OP_CREDIT_UPDATE;
		}
		return hasData && !this.#creditAsked
			? VIRTIO_VSOCK_OP_CREDIT_REQUEST
			: undefined;
	}

	/** As soon as the guest believes less than half of the buffer to be free. */
	get #owesCredit(): boolean {
		const believed = (this.#receivedCount - this.#announcedCount) >>> 0;
		return (
			this.#announcedCount !== this.#forwardedCount &&
			believed >= RECEIVE_BUFFER_BYTES / 2
		);
	}

	#takeData(roomBytes: number): Uint8Array {
		const [first] = this.#outgoing;
		if (first === undefined) return NOTHING;
		const length = Math.min(
			roomBytes,
			this.#guestRoomBytes,
			first.bytes.length - first.at,
		);
		const data = first.bytes.subarray(first.at, first.at + length);
		first.at += length;
		this.#sentCount = (this.#sentCount + length) >>> 0;
		if (first.at === first.bytes.length) {
			this.#outgoing.shift();
			first.resolve();
		}
		return data;
	}

	/** RECEIVE as well once neither side has more to say: the guest confirms by RST. */
	#shutdownFlags(): number {
		const ended = this.#hasEnded && this.#outgoing.length === 0;
		const ignores = this.#ignores || (ended && this.#guestHasEnded);
		return (
			(ended ? VIRTIO_VSOCK_SHUTDOWN_F_SEND : 0) |
			(ignores ? VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE : 0)
		);
	}

	#take(data: Uint8Array): void {
		const held = (this.#receivedCount - this.#forwardedCount) >>> 0;
		if (this.#guestHasEnded || data.length > RECEIVE_BUFFER_BYTES - held) {
			this.abandon("the guest sent more than it may", true);
			return;
		}
		this.#receivedCount = (this.#receivedCount + data.length) >>> 0;
		if (data.length > 0) this.#incoming.push(data);
		this.#deliver();
	}

	#guestShutsDown(flags: number): void {
		if ((flags & VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE) !== 0) {
			this.#guestIgnores = true;
			this.#failWrites();
		}
		if ((flags & VIRTIO_VSOCK_SHUTDOWN_F_SEND) !== 0) {
			this.#guestHasEnded = true;
			this.#deliver();
		}
		// The guest is done both ways and waits for our confirmation.
		if (this.#guestIgnores && this.#guestHasEnded) {
			const reason = this.#hasEnded ? undefined : "the guest has closed it";
			this.#leave(reason, true);
		}
	}

	/** What came before an end is whole, whatever comes after. */
	#abandonedByGuest(): void {
		if (this.#state === "requested") {
			this.abandon("nobody in the guest listens on the port", false);
		} else if (this.#guestHasEnded) {
			const isOrderly = this.#hasEnded && this.#outgoing.length === 0;
			this.#leave(isOrderly ? undefined : "the guest has reset it", false);
		} else {
			this.abandon("the guest has reset it", false);
		}
	}

	#leave(reason: string | undefined, tellGuest: boolean): void {
		if (this.#state === "gone") return;
		const wasRequested = this.#state === "requested";
		this.#state = "gone";
		this.#closingReason = reason;
		this.#failWrites();
		this.#wires.gone(tellGuest);
		if (wasRequested) {
			// Whoever asked learns it by the answer.
			this.#receiver = undefined;
			this.onAnswer(this.#whyNot());
		}
		this.#deliver();
	}

	#whyNot(): string {
		return this.#closingReason ?? "the guest does not take any more";
	}

	#failWrites(): void {
		const error = new Error(`nothing can be sent: ${this.#whyNot()}`);
		for (const { reject } of this.#outgoing.splice(0)) reject(error);
	}

	/** Hands on what has come, a piece at a time, and then the news of the end. */
	#deliver(): void {
		const receiver = this.#receiver;
		if (receiver === undefined) {
			// Refused, or not answered yet: then nothing has come either.
			if (this.#state === "gone") this.#wires.finished();
			return;
		}
		while (!this.#receiving) {
			const piece = this.#incoming.shift();
			if (piece === undefined) {
				this.#deliverEnd(receiver);
				return;
			}
			this.#deliverPiece(receiver, piece);
		}
	}

	#deliverPiece(receiver: VsockReceiver, piece: Uint8Array): void {
		const taken = () => {
			this.#forwardedCount = (this.#forwardedCount + piece.length) >>> 0;
			if (this.#owesCredit) this.#wires.ready();
		};
		const failed = () => this.abandon("its reader has failed", true);
		let done: Completion;
		try {
			done = this.#ignores ? undefined : receiver.receive(piece);
		} catch {
			failed();
			return;
		}
		if (done === undefined) {
			taken();
			return;
		}
		this.#receiving = true;
		done.then(taken, failed).then(() => {
			this.#receiving = false;
			this.#deliver();
		});
	}

	#deliverEnd(receiver: VsockReceiver): void {
		if (this.#guestHasEnded && !this.#hasToldEnd) {
			this.#hasToldEnd = true;
			receiver.ended();
		}
		if (this.#state !== "gone" || this.#receiver === undefined) return;
		this.#receiver = undefined;
		this.#wires.finished();
		receiver.closed(this.#closingReason);
	}
}
