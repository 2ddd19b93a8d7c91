/**
 * What a region knows about flags and registers while it is generated must end
 * where control comes from elsewhere, too.
 *
 * @journey M:729 What is known ends with the block
 */

import { expect, it } from "vitest";
import { ESI } from "../support/assembler.ts";
import { code, Guest } from "../support/guest.ts";

const TURNS = 8000;
const START = "bf 40 1f 00 00  31 f6"; // mov edi, 8000; xor esi, esi

/** ESI after a program in regions, which ends with UD2. */
function sum(...lines: string[]): number {
	const guest = new Guest("auto");
	const program = code()
		.hex([START, ...lines].join(" "))
		.hex("0f 0b");
	let stop = guest.run(program, { budget: 1000 });
	// In slices: what is wanted is compiled between them.
	while (stop.vector === undefined) stop = guest.resume(1000);
	expect(stop.vector).toBe(6);
	expect(guest.cpu.statistics.hotRetired).toBeGreaterThan(TURNS);
	return guest.cpu.state.gpr32(ESI);
}

it("CF goes through INC and DEC round a loop", () => {
	const carries = sum(
		"89 fb  83 e3 01  f7 db", // mov ebx, edi; and ebx, 1; neg ebx
		"b9 03 00 00 00", // mov ecx, 3
		"83 c3 01", // add ebx, 1: a carry every other time
		"40  49  75 fc", // inc eax; dec ecx; jnz to the inc
		"83 d6 00", // adc esi, 0
		"4f  75 e7", // dec edi; jnz to the start
	);
	expect(carries).toBe(TURNS / 2);
});

it("INC keeps a CF that was set by itself", () => {
	// stc; inc eax; adc esi, 0; dec edi; jnz to the start
	expect(sum("f9  40  83 d6 00", "4f  75 f8")).toBe(TURNS);
});

// Each half of the turns goes one way; AL is 5 by itself, or 7 with all of EAX.
const BYTE = "b0 05";
const WHOLE = "b8 07 02 00 00";
it.each([
	["jz", "74 04", `${BYTE} eb 05`, WHOLE],
	["jnz", "75 04", `${BYTE} eb 05`, WHOLE],
	["jz, the byte behind", "74 07", `${WHOLE} eb 02`, BYTE],
	["jnz, the byte behind", "75 07", `${WHOLE} eb 02`, BYTE],
])(
	"a low byte is what was written last, whichever way: %s",
	(_name, ...arms) => {
		const bytes = sum(
			"f7 c7 01 00 00 00", // test edi, 1
			...arms,
			"0f b6 d0  01 d6", // movzx edx, al; add esi, edx
			"4f  75 e7", // dec edi; jnz to the start
		);
		expect(bytes).toBe((TURNS / 2) * (5 + 7));
	},
);
