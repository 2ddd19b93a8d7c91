import { beforeEach, describe, expect, it } from "vitest";
import { GuestFault } from "../exceptions.ts";
import { CR0, CR3, CR4, EFER, STATE_BYTES } from "../state.ts";
import { StateView } from "../state-view.ts";
import { PageWalk } from "./page-walk.ts";

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;
const NX = 0x8000_0000;
const CR0_PG_PE = 0x8000_0001;
const CR0_WP = 0x1_0000;
const CR4_PSE = 0x10;
const CR4_PAE = 0x20;
const CR4_PGE = 0x80;
const EFER_NXE = 0x800;
const EFER_LME_LMA = 0x500;

let memory: DataView;
let state: StateView;
let walk: PageWalk;

beforeEach(() => {
	memory = new DataView(new ArrayBuffer(0x1_0000));
	state = new StateView(new ArrayBuffer(STATE_BYTES), 0);
	walk = new PageWalk(state, {
		read32: (at) =>
			at + 4 <= memory.byteLength ? memory.getInt32(at, true) : -1,
		write32: (at, value) => memory.setInt32(at, value, true),
	});
});

function configure(cr0: number, cr4: number, efer = 0): void {
	state.setWide(CR0, (CR0_PG_PE | cr0) >>> 0);
	state.set32(CR4, cr4);
	state.set32(EFER, efer);
	state.setWide(CR3, 0x1000);
	walk.configure();
}

function entry(at: number, low: number, high = 0): void {
	memory.setUint32(at, low >>> 0, true);
	memory.setUint32(at + 4, high >>> 0, true);
}

function entry32(at: number, value: number): void {
	memory.setUint32(at, value >>> 0, true);
}

/** Error code of the fault a walk ends in, or undefined. */
function faultOf(
	linear: number,
	access: { write?: boolean; user?: boolean; fetch?: boolean } = {},
): number | undefined {
	const { write = false, user = false, fetch = false } = access;
	const done = walk.walk(linear, write, user, fetch);
	return done ? undefined : walk.errorCode;
}

describe("2-level paging", () => {
	const linear = 0x0040_3123;

	beforeEach(() => {
		entry32(0x1004, 0x2000 | P | RW | US);
		entry32(0x200c, 0x5000 | P | RW | US);
		configure(CR0_WP, CR4_PSE | CR4_PGE);
	});

	it("finds the page and sets A in both entries", () => {
		expect(faultOf(linear)).toBeUndefined();
		expect(walk.physicalPage).toBe(0x5000);
		expect(memory.getUint32(0x1004, true) & (A | D)).toBe(A);
		expect(memory.getUint32(0x200c, true) & (A | D)).toBe(A);
		expect(walk.dirty).toBe(false);
	});

	it("sets D in the leaf only, and only for writes", () => {
		expect(faultOf(linear, { write: true })).toBeUndefined();
		expect(memory.getUint32(0x1004, true) & D).toBe(0);
		expect(memory.getUint32(0x200c, true) & D).toBe(D);
	});

	it("reports not-present pages without P", () => {
		expect(faultOf(0x0040_4000, { write: true, user: true })).toBe(2 | 4);
	});

	it("lets supervisor writes through read-only pages unless CR0.WP", () => {
		entry32(0x200c, 0x5000 | P);
		expect(faultOf(linear, { write: true })).toBe(1 | 2);
		configure(0, CR4_PSE);
		expect(faultOf(linear, { write: true })).toBeUndefined();
		expect(faultOf(linear, { user: true })).toBe(1 | 4);
	});

	it("takes the stricter right of both levels", () => {
		entry32(0x1004, 0x2000 | P | US);
		expect(faultOf(linear, { write: true, user: true })).toBe(1 | 2 | 4);
		expect(faultOf(linear, { user: true })).toBeUndefined();
	});

	it("maps 4 MiB pages, PSE-36 address bits included", () => {
		entry32(0x1004, 0x0080_0000 | (0x3 << 13) | P | RW | PS | G);
		expect(faultOf(0x0056_7000)).toBeUndefined();
		expect(walk.physicalPage).toBe(3 * 2 ** 32 + 0x0096_7000);
		expect(walk.global).toBe(true);
	});

	it("faults on the reserved bit of a 4 MiB entry", () => {
		entry32(0x1004, 0x0080_0000 | (1 << 21) | P | PS);
		expect(faultOf(linear)).toBe(1 | 8);
	});
});

describe("PAE paging", () => {
	const linear = 0x4020_1000;

	beforeEach(() => {
		entry(0x1008, 0x2000 | P);
		entry(0x2008, 0x3000 | P | RW | US);
		entry(0x3008, 0x7000 | P | RW | US, 0x1);
		configure(CR0_WP, CR4_PAE, EFER_NXE);
		walk.loadPdptes(0x1000);
	});

	it("reaches physical addresses above 4 GiB", () => {
		expect(faultOf(linear)).toBeUndefined();
		expect(walk.physicalPage).toBe(2 ** 32 + 0x7000);
	});

	it("refuses fetches from NX pages with the I/D bit", () => {
		entry(0x3008, 0x7000 | P | RW | US, NX);
		expect(faultOf(linear)).toBeUndefined();
		expect(walk.executable).toBe(false);
		expect(faultOf(linear, { fetch: true, user: true })).toBe(1 | 4 | 16);
	});

	it("treats NX as reserved without EFER.NXE", () => {
		configure(CR0_WP, CR4_PAE);
		entry(0x3008, 0x7000 | P | RW | US, NX);
		expect(faultOf(linear)).toBe(1 | 8);
	});

	it("faults on address bits beyond the physical width", () => {
		entry(0x3008, 0x7000 | P, 1 << 4);
		expect(faultOf(linear)).toBe(1 | 8);
	});

	it("keeps the PDPTEs of the last load", () => {
		entry(0x1008, 0);
		expect(faultOf(linear)).toBeUndefined();
		walk.loadPdptes(0x1000);
		expect(faultOf(linear)).toBe(0);
	});

	it("raises #GP(0) for reserved bits in a PDPTE and keeps the old ones", () => {
		entry(0x1008, 0x2000 | P | RW);
		expect(() => walk.loadPdptes(0x1000)).toThrow(GuestFault);
		expect(faultOf(linear)).toBeUndefined();
	});

	it("maps 2 MiB pages", () => {
		entry(0x2008, 0x0060_0000 | P | RW | PS);
		expect(faultOf(0x4023_4000, { write: true })).toBeUndefined();
		expect(walk.physicalPage).toBe(0x0063_4000);
		expect(memory.getUint32(0x2008, true) & (A | D)).toBe(A | D);
	});
});

describe("4-level paging", () => {
	/** PML4 index 1, PDPT 2, PD 3, PT 4. */
	const linear = 1 * 2 ** 39 + 2 * 2 ** 30 + 3 * 2 ** 21 + 4 * 2 ** 12;

	beforeEach(() => {
		entry(0x1008, 0x2000 | P | RW | US);
		entry(0x2010, 0x3000 | P | RW | US);
		entry(0x3018, 0x4000 | P | RW | US);
		entry(0x4020, 0x9000 | P | RW | US);
		configure(CR0_WP, CR4_PAE | CR4_PGE, EFER_NXE | EFER_LME_LMA);
	});

	it("walks four levels and sets A in each", () => {
		expect(faultOf(linear + 0x123)).toBeUndefined();
		expect(walk.physicalPage).toBe(0x9000);
		for (const at of [0x1008, 0x2010, 0x3018, 0x4020]) {
			expect(memory.getUint32(at, true) & A).toBe(A);
		}
	});

	it("maps the upper canonical half by the same 48 bits", () => {
		entry(0x1ff8, 0x2000 | P | RW | US);
		const high = 2 ** 48 - 2 ** 39 + 2 * 2 ** 30 + 3 * 2 ** 21 + 4 * 2 ** 12;
		expect(faultOf(high)).toBeUndefined();
		expect(walk.physicalPage).toBe(0x9000);
	});

	it("maps 1 GiB pages", () => {
		entry(0x2010, 0x4000_0000 | P | RW | PS);
		expect(faultOf(linear)).toBeUndefined();
		expect(walk.physicalPage).toBe(0x4000_0000 + 3 * 2 ** 21 + 4 * 2 ** 12);
	});

	it("takes NX from any level", () => {
		entry(0x1008, 0x2000 | P | RW | US, NX);
		expect(faultOf(linear, { fetch: true })).toBe(1 | 16);
	});
});
