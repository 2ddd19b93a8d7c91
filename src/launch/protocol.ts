/**
 * What the two threads say to each other: every message, as a type.
 *
 * Relies on the description; both ends rely on it.
 *
 * @journey L:210 The words on the wire
 */

import type { EndReason } from "../machine/machine.ts";
import type { MachineStatistics } from "../machine/statistics.ts";
import type { DeviceEvent } from "../machine/virtio-slots.ts";
import type { ConsoleSize } from "../virtio/backends.ts";
import type { BalloonState } from "../virtio/memory-balloon.ts";
import type { GuestDescription } from "./description.ts";
import type { PlainError } from "./error-transfer.ts";

/** Byte streams between the threads. */
export const PIPE_CONSOLE = 0;
export const PIPE_AGENT = 1;

/** Both directions: bytes, the right to send more, and the end. */
export type PipeMessage =
	| {
			readonly kind: "pipe-bytes";
			readonly pipe: number;
			readonly bytes: Uint8Array;
	  }
	| {
			readonly kind: "pipe-credit";
			readonly pipe: number;
			readonly bytes: number;
	  }
	| { readonly kind: "pipe-end"; readonly pipe: number };

/** A call of a backend that lives with the caller. */
export interface RemoteCall {
	readonly kind: "remote-call";
	/** Its number, for the answer. */
	readonly call: number;
	/** The backend's. */
	readonly remote: number;
	readonly method: "read" | "write" | "flush" | "writeZeroes" | "close";
	readonly offset: number;
	readonly lengthBytes: number;
	/** For `write`. */
	readonly bytes?: Uint8Array;
	readonly mayUnmap?: boolean;
}

export interface RemoteAnswer {
	readonly kind: "remote-answer";
	readonly call: number;
	/** What `read` read. */
	readonly bytes?: Uint8Array;
	readonly error?: PlainError;
}

/** From the caller to the guest's thread. */
export type ToGuest =
	| PipeMessage
	| RemoteAnswer
	| { readonly kind: "create"; readonly description: GuestDescription }
	| { readonly kind: "stop" }
	| { readonly kind: "pause"; readonly request: number }
	| { readonly kind: "resume" }
	| { readonly kind: "power-button" }
	| { readonly kind: "terminal"; readonly size: ConsoleSize }
	| { readonly kind: "balloon"; readonly targetBytes: number }
	| { readonly kind: "balloon-state"; readonly request: number }
	| { readonly kind: "balloon-hints"; readonly request: number }
	| { readonly kind: "statistics"; readonly request: number };

/** How far a guest has come; without a total, just the activity. */
export interface ProgressEvent {
	/**
	 * "reading the kernel" and more, until the guest is made; then "booting", and
	 * "ready" when its agent answers.
	 */
	readonly activity: string;
	readonly doneBytes: number;
	readonly totalBytes: number;
}

/** From the guest's thread to the caller. */
export type FromGuest =
	| PipeMessage
	| RemoteCall
	| { readonly kind: "created" }
	| ({ readonly kind: "progress" } & ProgressEvent)
	/** A disk has refused; the guest got an I/O error. */
	| { readonly kind: "trouble"; readonly error: PlainError }
	| { readonly kind: "agent-open"; readonly open: boolean }
	| { readonly kind: "failed"; readonly error: PlainError }
	| { readonly kind: "ended"; readonly reason: EndReason }
	| { readonly kind: "paused"; readonly request: number }
	| { readonly kind: "device"; readonly event: DeviceEvent }
	| {
			readonly kind: "balloon-state";
			readonly request: number;
			/** Undefined: the guest has no balloon. */
			readonly state: BalloonState | undefined;
	  }
	| {
			readonly kind: "balloon-hints";
			readonly request: number;
			/** Undefined: nobody in the guest gives hints. */
			readonly hintedBytes: number | undefined;
	  }
	| {
			readonly kind: "statistics";
			readonly request: number;
			readonly statistics: MachineStatistics;
	  };
