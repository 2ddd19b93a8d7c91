import { describe, expect, it } from "vitest";
import { GuestMemory, GuestMemoryRangeError } from "./guest-memory.ts";

const PAGE = 4096;
/** As many pages have their views kept. */
const KEPT = 1024;
const BASE = 2 * PAGE;

function memoryOf(pages: number): GuestMemory {
	const bytes = pages * PAGE;
	return new GuestMemory(new ArrayBuffer(BASE + bytes), BASE, bytes);
}

describe("a view of guest memory", () => {
	it.each([
		["a page", 3 * PAGE, PAGE],
		["part of one", 3 * PAGE, 512],
		["a page's length across two", 3 * PAGE + 4, PAGE],
		["two pages", 3 * PAGE, 2 * PAGE],
		["nothing", 3 * PAGE, 0],
	])("is the memory itself: %s", (_name, address, lengthBytes) => {
		const memory = memoryOf(8);
		const view = memory.view(address, lengthBytes);
		expect(view.byteOffset).toBe(BASE + address);
		expect(view).toHaveLength(lengthBytes);
		expect(view.buffer).toBe(memory.bytes.buffer);
	});

	it("is made once for a page that is looked at again", () => {
		const memory = memoryOf(8);
		expect(memory.view(PAGE, PAGE)).toBe(memory.view(PAGE, PAGE));
	});

	it("is that of the page asked for, whichever was asked for before", () => {
		const memory = memoryOf(KEPT + 2);
		for (const page of [1, KEPT + 1, 0, KEPT, 1]) {
			const { byteOffset } = memory.view(page * PAGE, PAGE);
			expect(byteOffset).toBe(BASE + page * PAGE);
		}
	});

	it("is within memory", () => {
		const memory = memoryOf(8);
		expect(() => memory.view(7 * PAGE, PAGE + 1)).toThrow(
			GuestMemoryRangeError,
		);
		expect(() => memory.view(8 * PAGE, PAGE)).toThrow(GuestMemoryRangeError);
	});
});
