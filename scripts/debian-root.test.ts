import { expect, it } from "vitest";
import { hasOwnFormats } from "./debian-root.ts";

it("asks for a Linux whose user namespaces have binary formats of their own", () => {
	const old = ["5.15.0-91-generic", "6.1.0-50-amd64", "6.6.99"];
	const recent = ["6.7.0-rc1", "6.7-custom", "6.12.9", "7.0.0"];
	expect(old.map(hasOwnFormats)).toEqual([false, false, false]);
	expect(recent.map(hasOwnFormats)).toEqual([true, true, true, true]);
});
