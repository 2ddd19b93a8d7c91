/**
 * How the caller and the agent in the guest talk: frames on one port of the
 * virtio console, many commands at a time, each with credit of its own, so that
 * none that is slow holds up the others. `guests/default/agent.c` is the other
 * side; a change here is a change there.
 *
 * A frame is a header of three 32-bit words, little endian, and its contents:
 *
 * | Offset | Width | Name    | Meaning                                    |
 * | ------ | ----- | ------- | ------------------------------------------ |
 * | 0      | 4     | channel | the command's number, the caller's to give |
 * | 4      | 4     | type    | one of those below                         |
 * | 8      | 4     | length  | bytes that follow, at most 64 KiB          |
 *
 * A console port rather than a socket: every kernel with virtio has it, on every
 * transport, before there is any network; and one stream with frames can tell a
 * command to die while its input is full.
 *
 * Relies on nothing; the agent's client relies on it.
 *
 * @journey L:250 Talking to the inside
 */

import { AgentError } from "../errors.ts";

/** What the agent announces in its first frame. */
export const AGENT_VERSION = 1;

/** From the caller. */
export const FRAME_SPAWN = 1;
export const FRAME_STDIN = 2;
export const FRAME_STDIN_END = 3;
/** Contents: the signal's number, for the command's process group. */
export const FRAME_KILL = 4;
/** Contents: the stream (1 or 2) and how many more bytes of it may come. */
export const FRAME_CREDIT = 5;
/** Nobody is interested any more: kill what is left, and forget it. */
export const FRAME_CLOSE = 6;

/** From the agent. Contents of HELLO: its version. */
export const FRAME_HELLO = 16;
export const FRAME_STDOUT = 17;
export const FRAME_STDERR = 18;
export const FRAME_STDOUT_END = 19;
export const FRAME_STDERR_END = 20;
/** Contents: the status as `wait` gives it. */
export const FRAME_EXITED = 21;
/** Contents: Linux's error number; the command did not start. */
export const FRAME_FAILED = 22;
/** Contents: how many more bytes of input may come. */
export const FRAME_STDIN_CREDIT = 23;
/** The command reads no more. */
export const FRAME_STDIN_CLOSED = 24;

/** What each side may send before the first credit. */
export const STDIN_WINDOW_BYTES = 1 << 16;
export const OUTPUT_WINDOW_BYTES = 1 << 18;

/** Kinds of SPAWN. */
export const SPAWN_COMMAND = 0;
export const SPAWN_READ_FILE = 1;
export const SPAWN_WRITE_FILE = 2;

const HEADER_BYTES = 12;
export const MOST_CONTENTS_BYTES = 1 << 16;

/** A frame, taken apart. */
export interface Frame {
	readonly channel: number;
	readonly type: number;
	readonly contents: Uint8Array;
}

/** A frame's bytes. */
export function encodeFrame(
	channel: number,
	type: number,
	contents: Uint8Array = new Uint8Array(0),
): Uint8Array {
	const bytes = new Uint8Array(HEADER_BYTES + contents.length);
	bytes.set(encodeWords(channel, type, contents.length));
	bytes.set(contents, HEADER_BYTES);
	return bytes;
}

/** 32-bit words, for contents. */
export function encodeWords(...words: readonly number[]): Uint8Array {
	const view = new DataView(new ArrayBuffer(words.length * 4));
	words.forEach((word, index) => {
		view.setUint32(index * 4, word, true);
	});
	return new Uint8Array(view.buffer);
}

/** The 32-bit word at `index`; 0 where there is none. */
export function wordAt(bytes: Uint8Array, index: number): number {
	if (bytes.length < index * 4 + 4) return 0;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	return view.getUint32(index * 4, true);
}

/** What SPAWN contains. */
export interface SpawnRequest {
	readonly kind: number;
	/** Permissions of a file that is written. */
	readonly mode: number;
	/** Empty: wherever the agent is. */
	readonly cwd: string;
	/** Program and arguments, or the file's path. */
	readonly words: readonly string[];
	/** `NAME=value`, added to the agent's own. */
	readonly environment: readonly string[];
}

/** Four words (kind, mode, counts of words and environment) and the strings, each with a NUL. */
export function encodeSpawn(request: SpawnRequest): Uint8Array {
	const { kind, mode, cwd, words, environment } = request;
	const strings = [cwd, ...words, ...environment];
	if (strings.some((text) => text.includes("\0"))) {
		throw new AgentError("No word of a command can contain a NUL.");
	}
	const text = new TextEncoder().encode(`${strings.join("\0")}\0`);
	const head = encodeWords(kind, mode, words.length, environment.length);
	const bytes = new Uint8Array(head.length + text.length);
	bytes.set(head);
	bytes.set(text, head.length);
	if (bytes.length > MOST_CONTENTS_BYTES) {
		throw new AgentError("The command is too long.", {
			hint: "Command and environment together can have 64 KiB.",
		});
	}
	return bytes;
}

/** Finds frames in a stream of bytes. */
export class FrameDecoder {
	#bytes = new Uint8Array(0);

	/** Forgets a frame that began: the agent is a new one. */
	reset(): void {
		this.#bytes = new Uint8Array(0);
	}

	/** The frames that are complete with these bytes; throws on what no agent sends. */
	push(bytes: Uint8Array): Frame[] {
		const all = new Uint8Array(this.#bytes.length + bytes.length);
		all.set(this.#bytes);
		all.set(bytes, this.#bytes.length);
		const frames: Frame[] = [];
		let at = 0;
		while (all.length - at >= HEADER_BYTES) {
			const length = wordAt(all.subarray(at), 2);
			if (length > MOST_CONTENTS_BYTES) {
				throw new AgentError("What speaks at the agent's port is no agent.");
			}
			const end = at + HEADER_BYTES + length;
			if (end > all.length) break;
			frames.push({
				channel: wordAt(all.subarray(at), 0),
				type: wordAt(all.subarray(at), 1),
				contents: all.subarray(at + HEADER_BYTES, end),
			});
			at = end;
		}
		this.#bytes = all.slice(at);
		return frames;
	}
}
