/** dev */
import { x87Semantics } from "../../src/cpu/semantics/x87.ts";
import { CASE_BYTES, IMAGE_BYTES, RESULT_BYTES } from "./case.ts";
import { makeBatch } from "./generate.ts";
import { TRANSCENDENTAL } from "./instructions.ts";
import { runNative } from "./native.ts";
import { Subject } from "./subject.ts";

const [pattern = ".", cases = "20000", seed = "1"] = process.argv.slice(2);
const subject = new Subject({ ...x87Semantics });
const value = (v: DataView, i: number) =>
	(BigInt(v.getUint16(40 + 16 * i, true) & 0x7fff) << 64n) |
	v.getBigUint64(32 + 16 * i, true);
const show = (v: DataView) =>
	`cw=${v.getUint16(0, true).toString(16)} sw=${v.getUint16(2, true).toString(16)} tag=${v.getUint8(4).toString(16)} ` +
	[0, 1, 7]
		.map(
			(i) =>
				`st${i}=${v.getUint16(40 + 16 * i, true).toString(16)}:${v
					.getBigUint64(32 + 16 * i, true)
					.toString(16)
					.padStart(16, "0")}`,
		)
		.join(" ");
for (const q of TRANSCENDENTAL.filter(({ name }) =>
	new RegExp(pattern).test(name),
)) {
	const batch = makeBatch(q, Number(cases), Number(seed));
	const a = subject.run(batch),
		b = runNative(batch);
	const ulps = new Map<string, number>();
	let flags = 0,
		other = 0,
		shown = 0;
	for (let i = 0; i < batch.count; i++) {
		const x = new DataView(
			a.buffer,
			a.byteOffset + i * RESULT_BYTES,
			RESULT_BYTES,
		);
		const y = new DataView(
			b.buffer,
			b.byteOffset + i * RESULT_BYTES,
			RESULT_BYTES,
		);
		const inp = new DataView(batch.cases.buffer, i * CASE_BYTES, CASE_BYTES);
		if (
			x.getUint8(IMAGE_BYTES + 16) !== 0 ||
			y.getUint8(IMAGE_BYTES + 16) !== 0
		) {
			if (x.getUint8(IMAGE_BYTES + 16) !== y.getUint8(IMAGE_BYTES + 16))
				other++;
			continue;
		}
		let bad = false;
		if (
			((x.getUint16(2, true) ^ y.getUint16(2, true)) & ~0x200) !== 0 ||
			x.getUint8(4) !== y.getUint8(4)
		) {
			flags++;
			bad = true;
		}
		for (let r = 0; r < 2; r++) {
			if (
				x.getUint16(40 + 16 * r, true) >> 15 !==
				y.getUint16(40 + 16 * r, true) >> 15
			) {
				other++;
				bad = true;
				continue;
			}
			const d = value(x, r) - value(y, r);
			const size = d < 0n ? -d : d;
			const key = size > 3n ? "many" : d.toString();
			if (size > 1n) bad = true;
			ulps.set(key, (ulps.get(key) ?? 0) + 1);
		}
		if (bad && shown++ < 6)
			console.log(`in ${show(inp)}\nus ${show(x)}\nna ${show(y)}`);
	}
	console.log(
		q.name,
		"flags",
		flags,
		"sign",
		other,
		"ulps",
		Object.fromEntries(ulps),
	);
}
