/**
 * CPUID: which processor this is, and what it can do. The feature table is the
 * one place that says so; reserved bits of CR4 and EFER follow from it.
 *
 * **Family 6, model 0x36** (Intel's Saltwell, an in-order Atom). The model
 * decides which errata and which speculation leaks a kernel works around. An
 * in-order core has none of the leaks, Linux knows that
 * (`cpu_vuln_whitelist`, NO_SPECULATION), and so there is no page-table
 * isolation, no retpoline, no buffer clearing: costs that a processor without
 * speculation must not pay. Neighbours were worse: 0x1c makes Linux read a
 * microcode erratum and the C library avoid BSF; 0x27 and 0x35 make Linux look
 * for the clock's rate in platform registers.
 *
 * @journey E:570 Papers, please
 */

import {
	CR4_DE,
	CR4_OSFXSR,
	CR4_OSXMMEXCPT,
	CR4_PAE,
	CR4_PCE,
	CR4_PGE,
	CR4_PSE,
	CR4_TSD,
	EFER_NXE,
} from "./control-bits.ts";

/** Where a feature's bit is: leaf, register, bit, and what it unlocks elsewhere. */
interface FeatureBit {
	readonly leaf: number;
	readonly register: CpuidRegister;
	readonly bit: number;
	/** Bits of CR4 that exist because of it. */
	readonly cr4?: number;
	readonly efer?: number;
}

/** EAX EBX ECX EDX. */
type CpuidRegister = 0 | 1 | 2 | 3;
const EAX = 0;
const EBX = 1;
const ECX = 2;
const EDX = 3;

const STANDARD = 1;
const EXTENDED = 0x8000_0001;

const basicEdx = (bit: number, cr4 = 0): FeatureBit => ({
	leaf: STANDARD,
	register: EDX,
	bit,
	cr4,
});
const basicEcx = (bit: number): FeatureBit => ({
	leaf: STANDARD,
	register: ECX,
	bit,
});

/** Feature bits by the manual's names (Intel SDM vol. 2, CPUID). */
export const FEATURES = {
	fpu: basicEdx(0),
	de: basicEdx(2, CR4_DE),
	pse: basicEdx(3, CR4_PSE),
	tsc: basicEdx(4, CR4_TSD),
	msr: basicEdx(5),
	pae: basicEdx(6, CR4_PAE),
	cx8: basicEdx(8),
	apic: basicEdx(9),
	sep: basicEdx(11),
	pge: basicEdx(13, CR4_PGE),
	cmov: basicEdx(15),
	pat: basicEdx(16),
	pse36: basicEdx(17),
	clfsh: basicEdx(19),
	mmx: basicEdx(23),
	fxsr: basicEdx(24, CR4_OSFXSR),
	sse: basicEdx(25, CR4_OSXMMEXCPT),
	sse2: basicEdx(26),
	sse3: basicEcx(0),
	ssse3: basicEcx(9),
	cx16: basicEcx(13),
	sse41: basicEcx(19),
	sse42: basicEcx(20),
	movbe: basicEcx(22),
	popcnt: basicEcx(23),
	tscDeadline: basicEcx(24),
	rdrand: basicEcx(30),
	hypervisor: basicEcx(31),
	/** The APIC's timer goes on whatever the processor sleeps like. */
	arat: { leaf: 6, register: EAX, bit: 2 },
	/** With it and an invariant counter, Linux trusts the counter and keeps no watchdog over it. */
	tscAdjust: { leaf: 7, register: EBX, bit: 1 },
	nx: { leaf: EXTENDED, register: EDX, bit: 20, efer: EFER_NXE },
	rdtscp: { leaf: EXTENDED, register: EDX, bit: 27 },
	/** The time-stamp counter's rate never changes. */
	invariantTsc: { leaf: 0x8000_0007, register: EDX, bit: 8 },
} as const satisfies Record<string, FeatureBit>;

export type Feature = keyof typeof FEATURES;

/** What there is only with a local APIC. */
const FEATURES_OF_APIC: readonly Feature[] = ["apic", "tscDeadline", "arat"];

/** All that a 32-bit guest gets. CX16 waits for 64-bit mode, where its instruction is. */
export const FEATURES_32: readonly Feature[] = (
	Object.keys(FEATURES) as Feature[]
).filter((name) => name !== "cx16" && !FEATURES_OF_APIC.includes(name));

/**
 * Features, as the opcode table names them, whose instructions exist. The
 * others' encodings are #UD or, as with TZCNT, an older instruction. Those of
 * 64-bit mode harm nobody outside it.
 */
export const DECODED_FEATURES: ReadonlySet<string> = new Set([
	...FEATURES_32,
	"base",
	"x87",
	"cx16",
	"lm",
	"3dnowprefetch",
	"vmx",
]);

/** What the machine decides about the processor. */
export interface CpuIdentityOptions {
	readonly features?: readonly Feature[];
	/** Whether the paravirtual clock answers to its registers. */
	readonly kvmClock?: boolean;
	/** Whether there is a local APIC around the processor. */
	readonly localApic?: boolean;
	/** Ticks per second of the time-stamp counter; saves the guest measuring it. Absent = unknown. */
	readonly tscHz?: number;
	readonly brand?: string;
	/** Family, model and stepping as leaf 1 has them in EAX. */
	readonly signature?: number;
	/** Twelve characters in the first leaf for hypervisors that is free. */
	readonly hypervisor?: string;
	/** The leaf behind it, which means what the hypervisor says it means. */
	readonly hypervisorLeaf?: CpuidLeaf;
}

/** EAX EBX ECX EDX. */
export type CpuidLeaf = readonly [number, number, number, number];
type Leaf = CpuidLeaf;

const VENDOR = "GenuineIntel";
const HYPERVISOR = "lguestlguest";
const BRAND = "lguest virtual CPU";
/** Family 6, extended model 3, model 6, stepping 1. */
const SIGNATURE = 0x0003_0661;
/** CLFLUSH works on 64 bytes (in units of 8). */
const CLFLUSH_SIZE = 8 << 8;
/** Look at leaf 4 for the caches; no TLB descriptors. */
const CACHE_DESCRIPTORS = 0x00ff_0001;
/** 36 physical address bits (`PHYSICAL_ADDRESS_BITS` of the page walk), 32 linear ones. */
const ADDRESS_SIZES = 36 | (32 << 8);
const HYPERVISOR_BASE = 0x4000_0000;
const HYPERVISOR_STRIDE = 0x100;
const HYPERVISOR_END = HYPERVISOR_BASE + 2 * HYPERVISOR_STRIDE;
const KVM = "KVMKVMKVM\0\0\0";
/**
 * Clock registers by their old and new numbers, whose time all processors agree
 * on; writes to port 0x80 need not be waited for (Linux 6.1,
 * `Documentation/virt/kvm/x86/cpuid.rst`).
 */
const KVM_FEATURES = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 24);
const EXTENDED_BASE = 0x8000_0000;
const LAST_EXTENDED = 0x8000_0008;
const LAST_BASIC = 7;
const LAST_BASIC_WITH_TSC = 0x16;
const ZERO: Leaf = [0, 0, 0, 0];

/** Performance counters exist in no form; PCE without them is harmless, and CR4 has had it as long as CPUID. */
const CR4_ALWAYS = CR4_PCE;

export class CpuIdentity {
	/** Bits of CR4 that may be set. */
	readonly cr4Bits: number;
	/** Bits of EFER that may be set. */
	readonly eferBits: number;
	readonly #features: ReadonlySet<Feature>;
	readonly #leaves = new Map<number, Leaf>();
	readonly #lastBasic: number;

	constructor(options: CpuIdentityOptions = {}) {
		this.#features = new Set([
			...(options.features ?? FEATURES_32),
			...(options.localApic ? FEATURES_OF_APIC : []),
		]);
		const tscHz = options.tscHz;
		this.#lastBasic = tscHz === undefined ? LAST_BASIC : LAST_BASIC_WITH_TSC;
		this.cr4Bits = this.#unlocked("cr4") | CR4_ALWAYS;
		this.eferBits = this.#unlocked("efer");
		this.#addBasicLeaves(options.signature ?? SIGNATURE);
		if (tscHz !== undefined) this.#addFrequencyLeaves(tscHz);
		this.#addHypervisorLeaves(options);
		this.#addExtendedLeaves(options.brand ?? BRAND);
	}

	has(feature: Feature): boolean {
		return this.#features.has(feature);
	}

	/** Switched off, the local APIC is not there (Intel SDM vol. 3, "Enabling or Disabling the Local APIC"). */
	showLocalApic(shown: boolean): void {
		const [a, b, c, d] = this.query(STANDARD, 0);
		const bit = 1 << FEATURES.apic.bit;
		this.#set(STANDARD, [a, b, c, shown ? d | bit : d & ~bit]);
	}

	/** EAX EBX ECX EDX of a leaf. Beyond the last basic leaf Intel's processors repeat that one. */
	query(leaf: number, subleaf: number): Leaf {
		const number = leaf >>> 0;
		if (number === 4) return CACHES[subleaf >>> 0] ?? ZERO;
		if (number === 7 && subleaf !== 0) return ZERO;
		const found = this.#leaves.get(number);
		if (found !== undefined) return found;
		const known = number <= this.#lastBasic || isSpecial(number);
		return known ? ZERO : (this.#leaves.get(this.#lastBasic) ?? ZERO);
	}

	#addBasicLeaves(signature: number): void {
		const [b, d, c] = words(VENDOR);
		this.#set(0, [this.#lastBasic, b, c, d] as Leaf);
		this.#set(1, [
			signature,
			CLFLUSH_SIZE,
			this.#bits(STANDARD, ECX),
			this.#bits(STANDARD, EDX),
		]);
		this.#set(2, [CACHE_DESCRIPTORS, 0, 0, 0]);
		this.#set(6, [this.#bits(6, EAX), 0, 0, 0]);
		this.#set(7, [0, this.#bits(7, EBX), 0, 0]);
	}

	/** The counter runs at the crystal's rate, which leaf 0x15 gives in Hz and 0x16 in MHz. */
	#addFrequencyLeaves(tscHz: number): void {
		const mhz = Math.round(tscHz / 1e6);
		this.#set(0x15, [1, 1, tscHz, 0]);
		this.#set(0x16, [mhz, mhz, 100, 0]);
	}

	/**
	 * Kernels look for what they know at every 256th leaf. The paravirtual clock
	 * goes by the name of KVM; ours comes behind.
	 */
	#addHypervisorLeaves(options: CpuIdentityOptions): void {
		if (!this.has("hypervisor")) return;
		const { hypervisor = HYPERVISOR, hypervisorLeaf, kvmClock } = options;
		let base = HYPERVISOR_BASE;
		if (kvmClock) {
			this.#addHypervisor(base, KVM, [KVM_FEATURES, 0, 0, 0]);
			base += HYPERVISOR_STRIDE;
		}
		this.#addHypervisor(base, hypervisor, hypervisorLeaf);
	}

	/** A signature, and the leaf behind it. */
	#addHypervisor(base: number, signature: string, behind?: CpuidLeaf): void {
		const [b, c, d] = words(signature);
		const last = behind === undefined ? base : base + 1;
		this.#set(base, [last, b, c, d] as Leaf);
		if (behind !== undefined) this.#set(last, behind);
	}

	#addExtendedLeaves(brand: string): void {
		this.#set(EXTENDED_BASE, [LAST_EXTENDED, 0, 0, 0]);
		this.#set(EXTENDED, [
			0,
			0,
			this.#bits(EXTENDED, ECX),
			this.#bits(EXTENDED, EDX),
		]);
		const text = words(brand.padEnd(48, "\0"));
		for (let i = 0; i < 3; i++) {
			const part = text.slice(i * 4, i * 4 + 4);
			this.#set(0x8000_0002 + i, part as unknown as Leaf);
		}
		this.#set(0x8000_0007, [0, 0, 0, this.#bits(0x8000_0007, EDX)]);
		this.#set(LAST_EXTENDED, [ADDRESS_SIZES, 0, 0, 0]);
	}

	#set(leaf: number, values: Leaf): void {
		this.#leaves.set(leaf, values);
	}

	#bits(leaf: number, register: CpuidRegister): number {
		let bits = 0;
		for (const name of this.#features) {
			const feature: FeatureBit = FEATURES[name];
			if (feature.leaf === leaf && feature.register === register) {
				bits |= 1 << feature.bit;
			}
		}
		return bits;
	}

	#unlocked(register: "cr4" | "efer"): number {
		let bits = 0;
		for (const name of this.#features) {
			const feature: FeatureBit = FEATURES[name];
			bits |= feature[register] ?? 0;
		}
		return bits;
	}
}

/** Hypervisor and extended leaves: unknown ones there are zero. */
function isSpecial(leaf: number): boolean {
	return (
		(leaf >= HYPERVISOR_BASE && leaf < HYPERVISOR_END) ||
		(leaf >= EXTENDED_BASE && leaf <= LAST_EXTENDED)
	);
}

/** ASCII text as little-endian 32-bit words. */
function words(text: string): number[] {
	return Array.from({ length: text.length / 4 }, (_, i) =>
		[0, 1, 2, 3].reduce(
			(word, byte) => word | (text.charCodeAt(i * 4 + byte) << (byte * 8)),
			0,
		),
	);
}

/** One level of leaf 4: type 1 = data, 2 = instructions, 3 = both; lines of 64 bytes. */
function cache(type: number, level: number, ways: number, sets: number): Leaf {
	const selfInitializing = 1 << 8;
	return [
		type | (level << 5) | selfInitializing,
		((ways - 1) << 22) | 63,
		sets - 1,
		0,
	];
}

/** 32 KiB, 32 KiB and 1 MiB: what software sizes its buffers by. */
const CACHES: readonly Leaf[] = [
	cache(1, 1, 8, 64),
	cache(2, 1, 8, 64),
	cache(3, 2, 16, 1024),
];
