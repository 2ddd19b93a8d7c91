import { describe, expect, it } from "vitest";
import { nameOf, Profile, parseSystemMap } from "./symbols.ts";

const MAP = parseSystemMap(
	"c1000000 T _stext\nc1000040 t helper\nc1000080 D data\nc2000000 t of\t[module]\n",
);

describe("a profile", () => {
	it("names an address by the text symbol before it", () => {
		expect(nameOf(MAP, 0xc1000000)).toBe("_stext");
		expect(nameOf(MAP, 0xc100007f)).toBe("helper");
		expect(nameOf(MAP, 0xc2000001)).toBe("of");
		expect(nameOf(MAP, 0x1000)).toBe("0x1000");
	});

	it("lists the hottest first, with its share", () => {
		const profile = new Profile();
		for (const address of [0xc1000000, 0xc1000041, 0xc1000042, 0xc1000042])
			profile.add({ address, user: false, codeSize: 32 });
		const lines = profile.report(5, MAP).split("\n");
		expect(lines[0]).toContain("4 samples");
		expect(lines[2]).toBe(" 75.0 %  helper");
		expect(lines[5]).toBe(" 50.0 %  c1000042  helper");
	});

	it("says what is never compiled", () => {
		const profile = new Profile();
		const hit = { address: 0xc1000000, user: false, codeSize: 32 } as const;
		for (const coldReason of ["IRET", undefined, "IRET", "OUT"])
			profile.add({ ...hit, coldReason });
		const lines = profile.report(5, MAP).split("\n");
		const at = lines.indexOf("never compiled:");
		expect(lines.slice(at + 1)).toEqual(["50.00 %  IRET", "25.00 %  OUT"]);
	});
});
