import { describe, expect, it } from "vitest";
import { RAM_BASE } from "../memory-layout.ts";
import { WriteJournal } from "./write-journal.ts";

const LINE = 256;

function makeMemory() {
	const { buffer } = new Uint8Array(RAM_BASE + 0x1_0000);
	const bytes = new Uint8Array(buffer, RAM_BASE);
	const journal = new WriteJournal(buffer);
	const write = (at: number, ...values: number[]) => {
		journal.note(RAM_BASE + at, values.length);
		bytes.set(values, at);
	};
	return { bytes, journal, write };
}

describe("WriteJournal", () => {
	it("takes stores back and puts them there again", () => {
		const { bytes, journal, write } = makeMemory();
		bytes[7] = 1;
		journal.open();
		write(7, 2);
		write(7, 3);
		journal.exchange();
		expect(bytes[7]).toBe(1);
		journal.exchange();
		expect(bytes[7]).toBe(3);
	});

	it("keeps all lines that a store touches, however many there are", () => {
		const { bytes, journal, write } = makeMemory();
		journal.open();
		for (let line = 0; line < 200; line++)
			write(line * LINE + LINE - 1, line, line);
		journal.exchange();
		expect(bytes.every((byte) => byte === 0)).toBe(true);
		expect(journal.firstDifference()?.[0]).toBe(RAM_BASE + 2 * LINE - 4);
	});

	it("finds the word that another run has left otherwise", () => {
		const { journal, write } = makeMemory();
		journal.open();
		write(0x404, 5, 6);
		journal.exchange();
		write(0x404, 5, 7);
		expect(journal.firstDifference()).toEqual([RAM_BASE + 0x404, 0x605, 0x705]);
	});

	it("finds a store that only the other run made", () => {
		const { journal, write } = makeMemory();
		journal.open();
		write(0, 1);
		journal.exchange();
		write(0, 1);
		expect(journal.firstDifference()).toBeUndefined();
		write(0x800, 9);
		expect(journal.firstDifference()).toEqual([RAM_BASE + 0x800, 0, 9]);
	});

	it("knows nothing of what was stored while it was closed", () => {
		const { bytes, journal, write } = makeMemory();
		write(0, 1);
		journal.open();
		write(0x100, 2);
		journal.close();
		write(0x100, 3);
		journal.open();
		journal.exchange();
		expect([bytes[0], bytes[0x100]]).toEqual([1, 3]);
		expect(journal.lines).toBe(0);
	});

	it("keeps nothing of staged bytes, which are no guest memory", () => {
		const { journal } = makeMemory();
		journal.open();
		journal.note(RAM_BASE - 16, 16);
		expect(journal.lines).toBe(0);
	});
});
