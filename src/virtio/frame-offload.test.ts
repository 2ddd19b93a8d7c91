import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readNetHeader } from "./devices/net-header.ts";
import { type FrameOffload, finishFrame } from "./frame-offload.ts";

/**
 * What Linux 6.x made of large frames: written with their virtio header to a
 * tap device, bridged, and read from another whose owner had offloads off.
 */
const CAPTURED = JSON.parse(
	readFileSync(
		new URL("../../test/support/segmented-frames.json", import.meta.url),
		"utf8",
	),
) as { name: string; header: string; frame: string; plain: string[] }[];

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function offloadOf(header: string): FrameOffload {
	const offload = readNetHeader(bytesOf(header));
	if (offload === undefined || offload === "bad") throw new Error("no offload");
	return offload;
}

describe("frames with something left to do", () => {
	for (const { name, header, frame, plain } of CAPTURED) {
		it(`become the frames that Linux makes of them: ${name}`, () => {
			const made = finishFrame(bytesOf(frame), offloadOf(header));
			expect(made?.map(hexOf)).toEqual(plain);
		});
	}

	it("are the same behind a VLAN tag, a little later", () => {
		for (const { header, frame, plain } of CAPTURED) {
			const tag = (hex: string) =>
				`${hex.slice(0, 24)}81000064${hex.slice(24)}`;
			const { checksumStart, ...rest } = offloadOf(header);
			const made = finishFrame(bytesOf(tag(frame)), {
				checksumStart: checksumStart + 4,
				...rest,
			});
			expect(made?.map(hexOf)).toEqual(plain.map(tag));
		}
	});

	it("are dropped when they contradict themselves", () => {
		const [tcp4] = CAPTURED;
		const frame = () => bytesOf(tcp4?.frame ?? "");
		const { segments, ...sum } = offloadOf(tcp4?.header ?? "");
		if (segments === undefined) throw new Error("no segments");
		const offload = { ...sum, segments };
		const bad: readonly FrameOffload[] = [
			{ ...offload, segments: { ...segments, kind: "tcp6" } },
			{ ...offload, segments: { ...segments, payloadBytes: 0 } },
			{ ...offload, checksumStart: 20 },
			{ ...offload, checksumStart: 60_000 },
			{ ...sum, checksumStart: 1066 },
			{ ...sum, checksumOffset: 1040 },
		];
		for (const one of bad) expect(finishFrame(frame(), one)).toBeUndefined();
		const short = frame().subarray(0, 50);
		expect(finishFrame(short, offload)).toBeUndefined();
		const many = new Uint8Array(65_000);
		many.set(frame());
		const tiny = { ...segments, payloadBytes: 1 };
		expect(finishFrame(many, { ...offload, segments: tiny })).toBeUndefined();
	});

	it("without anything left are themselves", () => {
		const frame = new Uint8Array(60);
		expect(finishFrame(frame, undefined)).toEqual([frame]);
	});
});
