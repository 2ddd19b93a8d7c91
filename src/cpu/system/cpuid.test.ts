import { describe, expect, it } from "vitest";
import { CpuIdentity, FEATURES_32 } from "./cpuid.ts";

function text(...words: readonly number[]): string {
	return words
		.flatMap((word) =>
			[0, 8, 16, 24].map((at) => String.fromCharCode((word >>> at) & 0xff)),
		)
		.join("");
}

describe("CpuIdentity", () => {
	it("names the vendor in EBX, EDX, ECX", () => {
		const [last, b, c, d] = new CpuIdentity().query(0, 0);
		expect(text(b, d, c)).toBe("GenuineIntel");
		expect(last).toBe(7);
	});

	it("is family 6, model 0x36, which has no speculation to mitigate", () => {
		const [signature] = new CpuIdentity().query(1, 0);
		expect((signature >> 8) & 15).toBe(6);
		const model = ((signature >> 12) & 0xf0) | ((signature >> 4) & 15);
		expect(model).toBe(0x36);
	});

	it("offers what a 32-bit kernel needs and nothing that is missing", () => {
		const [, , ecx, edx] = new CpuIdentity().query(1, 0);
		const has = (register: number, bit: number) =>
			((register >>> bit) & 1) === 1;
		for (const bit of [0, 3, 4, 5, 6, 8, 11, 13, 15, 24, 25, 26]) {
			expect(has(edx, bit), `EDX ${bit}`).toBe(true);
		}
		// VME, MCE, APIC, MTRR, MCA, ACPI, HTT
		for (const bit of [1, 7, 9, 12, 14, 22, 28]) {
			expect(has(edx, bit), `EDX ${bit}`).toBe(false);
		}
		// MONITOR, VMX, FMA, CX16, PCID, x2APIC, AES, XSAVE, OSXSAVE, AVX
		for (const bit of [3, 5, 12, 13, 17, 21, 25, 26, 27, 28]) {
			expect(has(ecx, bit), `ECX ${bit}`).toBe(false);
		}
		expect(has(ecx, 31)).toBe(true);
	});

	it("derives the bits of CR4 and EFER from the features", () => {
		const all = new CpuIdentity();
		expect(all.cr4Bits).toBe(0x7bc);
		expect(all.eferBits).toBe(0x800);
		const features = FEATURES_32.filter((name) => name !== "pae");
		expect(new CpuIdentity({ features }).cr4Bits).toBe(0x79c);
	});

	it("introduces the hypervisor, unless there is none", () => {
		const [, b, c, d] = new CpuIdentity().query(0x4000_0000, 0);
		expect(text(b, c, d)).toBe("lguestlguest");
		const features = FEATURES_32.filter((name) => name !== "hypervisor");
		const silent = new CpuIdentity({ features });
		expect(silent.query(0x4000_0000, 0)).toEqual([0, 0, 0, 0]);
	});

	it("has a leaf behind the signature only if the hypervisor wants one", () => {
		const leaves = (cpu: CpuIdentity) =>
			[0x4000_0000, 0x4000_0001].map((leaf) => cpu.query(leaf, 0)[0]);
		const hypervisorLeaf = [7, 0, 0, 0] as const;
		expect(leaves(new CpuIdentity({ hypervisorLeaf }))).toEqual([
			0x4000_0001, 7,
		]);
		expect(leaves(new CpuIdentity())).toEqual([0x4000_0000, 0]);
	});

	it("offers the paravirtual clock by the name kernels look for, and itself behind", () => {
		const cpu = new CpuIdentity({ kvmClock: true });
		const [last, b, c, d] = cpu.query(0x4000_0000, 0);
		expect(text(b, c, d)).toBe("KVMKVMKVM\0\0\0");
		expect(last).toBe(0x4000_0001);
		expect(cpu.query(0x4000_0001, 0)).toEqual([0x0100_000b, 0, 0, 0]);
		expect(text(...cpu.query(0x4000_0100, 0).slice(1))).toBe("lguestlguest");
		expect(cpu.query(0x4000_0200, 0)).toEqual(cpu.query(7, 0));
	});

	it("shows a local APIC with its timer only where there is one, and while it is on", () => {
		const timer = (cpu: CpuIdentity) => [
			(cpu.query(1, 0)[3] >>> 9) & 1,
			(cpu.query(1, 0)[2] >>> 24) & 1,
			cpu.query(6, 0)[0],
		];
		expect(timer(new CpuIdentity())).toEqual([0, 0, 0]);
		const cpu = new CpuIdentity({ localApic: true });
		expect(timer(cpu)).toEqual([1, 1, 4]);
		cpu.showLocalApic(false);
		expect(timer(cpu)).toEqual([0, 1, 4]);
		cpu.showLocalApic(true);
		expect(timer(cpu)).toEqual([1, 1, 4]);
	});

	it("gives the brand in three leaves, padded with zeros", () => {
		const cpu = new CpuIdentity({ brand: "Some CPU" });
		const words = [0x8000_0002, 0x8000_0003, 0x8000_0004].flatMap((leaf) =>
			cpu.query(leaf | 0, 0),
		);
		expect(text(...words).replaceAll("\0", "")).toBe("Some CPU");
	});

	it("tells the counter's rate when it is known", () => {
		const cpu = new CpuIdentity({ tscHz: 2_000_000_000 });
		expect(cpu.query(0, 0)[0]).toBe(0x16);
		const [denominator, numerator, crystal] = cpu.query(0x15, 0);
		expect((crystal * numerator) / denominator).toBe(2_000_000_000);
		expect(cpu.query(0x16, 0)[0]).toBe(2000);
	});

	it("describes three caches and then none", () => {
		const cpu = new CpuIdentity();
		const types = [0, 1, 2, 3].map((i) => cpu.query(4, i)[0] & 31);
		expect(types).toEqual([1, 2, 3, 0]);
		const [, b, sets] = cpu.query(4, 2);
		const ways = (b >>> 22) + 1;
		expect(ways * 64 * (sets + 1)).toBe(1 << 20);
	});

	it("has 36 physical address bits, as the page walk", () => {
		expect(new CpuIdentity().query(0x8000_0008, 0)[0] & 0xff).toBe(36);
	});

	it("repeats the last basic leaf beyond the end", () => {
		const cpu = new CpuIdentity();
		expect(cpu.query(0x1234, 0)).toEqual(cpu.query(7, 0));
		expect(cpu.query(0xffff_ffff, 0)).toEqual(cpu.query(7, 0));
	});
});
