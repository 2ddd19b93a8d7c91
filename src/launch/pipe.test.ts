import { describe, expect, it } from "vitest";
import type { Channel } from "./channel.ts";
import { PipeEnd, WINDOW_BYTES } from "./pipe.ts";
import type { PipeMessage } from "./protocol.ts";

/** An end, and what it has sent. */
function sender(): { readonly end: PipeEnd; readonly sent: PipeMessage[] } {
	const sent: PipeMessage[] = [];
	const channel: Channel = {
		post: (message) => void sent.push(message as PipeMessage),
		onMessage: () => {},
	};
	return { end: new PipeEnd(channel, 0), sent };
}

const turn = () => Promise.resolve();

describe("A pipe's end", () => {
	it("sends what is written in one turn in one message, in order", async () => {
		const { end, sent } = sender();
		const line = Uint8Array.of(1, 2);
		end.send(line);
		// Whose it stays.
		line.fill(9);
		end.send(Uint8Array.of(3));
		await turn();
		end.send(Uint8Array.of(4));
		await turn();
		expect(sent).toEqual([
			{ kind: "pipe-bytes", pipe: 0, bytes: Uint8Array.of(1, 2, 3) },
			{ kind: "pipe-bytes", pipe: 0, bytes: Uint8Array.of(4) },
		]);
	});

	it("says that it was all after the last byte, and nothing after that", async () => {
		const { end, sent } = sender();
		end.send(Uint8Array.of(1));
		end.end();
		await turn();
		expect(sent.map(({ kind }) => kind)).toEqual(["pipe-bytes", "pipe-end"]);
	});

	it("asks to wait once the other end's credit is used up, however it was cut", async () => {
		const { end } = sender();
		const half = new Uint8Array(WINDOW_BYTES / 2);
		expect(end.send(half)).toBeUndefined();
		const wait = end.send(half);
		let waited = false;
		const told = wait?.then(() => {
			waited = true;
		});
		await turn();
		expect([told === undefined, waited]).toEqual([false, false]);
		end.receive({ kind: "pipe-credit", pipe: 0, bytes: WINDOW_BYTES });
		await told;
		expect(waited).toBe(true);
	});
});
