import { describe, expect, it } from "vitest";
import { Profile, parseSystemMap } from "./symbols.ts";

const MAP = "c1000000 T _stext\nc1000040 t helper\nc1000080 D data\n";

describe("a profile", () => {
	it("names an address by the text symbol before it", () => {
		const profile = new Profile(parseSystemMap(MAP));
		expect(profile.nameOf(0xc1000000)).toBe("_stext");
		expect(profile.nameOf(0xc100007f)).toBe("helper");
		expect(profile.nameOf(0x1000)).toBe("0x1000");
	});

	it("lists the hottest first, with its share", () => {
		const profile = new Profile(parseSystemMap(MAP));
		for (const address of [0xc1000000, 0xc1000041, 0xc1000042, 0xc1000042])
			profile.add({ address, user: false, codeSize: 32 });
		const lines = profile.report(5).split("\n");
		expect(lines[0]).toContain("4 samples");
		expect(lines[2]).toBe(" 75.0 %  helper");
		expect(lines[5]).toBe(" 50.0 %  c1000042  helper");
	});
});
