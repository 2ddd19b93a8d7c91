import { describe, expect, it } from "vitest";
import { fields, StateView } from "../cpu/index.ts";
import { answerHypercall, lguestLeaf } from "./hypercalls.ts";

const [EAX, ECX, EBX] = [0, 1, 3];

function call(eax: number, ebx: number, ecx: number, cpl = 0) {
	const state = new StateView(new ArrayBuffer(0x1_0000), 0);
	state.set32(fields.CPL, cpl);
	state.set32(fields.GPR, eax, EAX);
	state.set32(fields.GPR, ebx, EBX);
	state.set32(fields.GPR, ecx, ECX);
	const heard: unknown[] = [];
	const known = answerHypercall(state, {
		notify: (address, bytes) => {
			heard.push(address, bytes);
			return false;
		},
		shutDown: (kind) => heard.push(kind),
	});
	return { known, heard, eax: state.get32(fields.GPR, EAX) };
}

describe("hypercalls of the pc machine", () => {
	it("NOTIFY hands addresses on as unsigned numbers, and changes no register", () => {
		expect(call(17, 0xf000_0000, 0)).toEqual({
			known: true,
			heard: [0xf000_0000, 0],
			eax: 17,
		});
		expect(call(17, 0x4000, 4).heard).toEqual([0x4000, 4]);
	});

	it("SHUTDOWN powers off or restarts, and has no third reason", () => {
		expect(call(2, 0x1000, 1)).toMatchObject({
			known: true,
			heard: ["poweroff"],
		});
		expect(call(2, 0x1000, 2)).toMatchObject({ known: true, heard: ["reset"] });
		expect(call(2, 0x1000, 3)).toMatchObject({ known: false, heard: [] });
	});

	it("does not know the other calls, nor anybody but the kernel", () => {
		for (const number of [0, 1, 3, 16, 18, -1]) {
			expect(call(number, 0, 1)).toMatchObject({ known: false, heard: [] });
		}
		for (const cpl of [1, 2, 3]) {
			expect(call(17, 0, 0, cpl)).toMatchObject({ known: false, heard: [] });
		}
	});

	it("has a leaf that says where the descriptor page is", () => {
		expect(lguestLeaf(64 << 20, 1 << 20)).toEqual([1, 0x4000, 0x100, 0]);
	});
});
