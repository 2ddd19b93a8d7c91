import { describe, expect, it } from "vitest";
import { fakeBzImage } from "../../test/support/kernel-images.ts";
import { formatProtocol, isBzImage, parseBzImage } from "./bzimage.ts";

describe("the bzImage header", () => {
	it("gives every field of protocol 2.15", () => {
		const image = parseBzImage(
			fakeBzImage({
				version: "6.1.0 test",
				prefAddress: 0x1000000,
				initSize: 0x1234000,
				cmdlineSize: 2047,
				initrdAddrMax: 0x7fffffff,
				kernelAlignment: 0x1000000,
				payload: new Uint8Array(32).fill(7),
			}),
		);
		expect(image).toMatchObject({
			protocol: 0x20f,
			kernelVersion: "6.1.0 test",
			prefAddress: 0x1000000,
			initSize: 0x1234000,
			cmdlineSize: 2047,
			initrdAddrMax: 0x7fffffff,
			kernelAlignment: 0x1000000,
			relocatable: true,
			is64Bit: false,
		});
		expect(image.payload).toEqual(new Uint8Array(32).fill(7));
		expect(image.setupHeader.length).toBe(0x26c - 0x1f1);
	});

	it.each([
		[
			0x200,
			{ initrdAddrMax: 0x37ffffff, cmdlineSize: 255, relocatable: false },
		],
		[0x204, { initrdAddrMax: 0x1000, cmdlineSize: 255, relocatable: false }],
		[0x205, { initrdAddrMax: 0x1000, cmdlineSize: 255, relocatable: true }],
		[0x206, { cmdlineSize: 1000, prefAddress: 0, initSize: 0 }],
		[0x209, { cmdlineSize: 1000, prefAddress: 0, initSize: 0 }],
		[0x20a, { prefAddress: 0x400000, initSize: 0x300000 }],
	])(
		"uses the documented default for fields that protocol 0x%s lacks",
		(protocol, expected) => {
			const bytes = fakeBzImage({
				protocol,
				cmdlineSize: 1000,
				initrdAddrMax: 0x1000,
			});
			expect(parseBzImage(bytes)).toMatchObject(expected);
		},
	);

	it("takes zero setup sectors for four (boot.rst, setup_sects)", () => {
		const code = Uint8Array.of(1, 2, 3, 4);
		const image = parseBzImage(fakeBzImage({ setupSects: 0, code }));
		expect(image.protectedModeCode.slice(0, 4)).toEqual(code);
	});

	it("knows a 64-bit kernel by its flag", () => {
		expect(parseBzImage(fakeBzImage({ xloadflags: 1 })).is64Bit).toBe(true);
	});

	it("knows a 64-bit kernel older than the flag by its switch to long mode", () => {
		const setLme = [
			0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32, 0x0f, 0xba, 0xe8, 0x08, 0x0f, 0x30,
		];
		const code = Uint8Array.of(...new Uint8Array(100), ...setLme);
		const old = fakeBzImage({ protocol: 0x208, xloadflags: 1, code });
		expect(parseBzImage(old).is64Bit).toBe(true);
		const i386 = fakeBzImage({ protocol: 0x208, xloadflags: 1 });
		expect(parseBzImage(i386).is64Bit).toBe(false);
	});

	it("says how many bytes a truncated file lacks", () => {
		const whole = fakeBzImage({ code: new Uint8Array(4096) });
		const cut = whole.subarray(0, 3000);
		expect(() => parseBzImage(cut)).toThrow(
			`its protected-mode kernel needs ${whole.length} bytes but the file has only 3000`,
		);
		expect(() => parseBzImage(whole.subarray(0, 1000))).toThrow(/setup code/);
		expect(() => parseBzImage(whole.subarray(0, 0x220))).toThrow(/truncated/);
	});

	it("accepts a file with a signature behind the kernel", () => {
		const signed = new Uint8Array(8192);
		signed.set(fakeBzImage());
		expect(parseBzImage(signed).kernelVersion).toBe("9.9.9 fake");
	});

	it("refuses a payload that reaches outside the file", () => {
		const bytes = fakeBzImage({ payload: new Uint8Array(16) });
		new DataView(bytes.buffer).setUint32(0x24c, 0x7fffffff, true);
		expect(() => parseBzImage(bytes)).toThrow(/compressed payload/);
	});

	it("ignores a version pointer outside the setup code", () => {
		const bytes = fakeBzImage();
		new DataView(bytes.buffer).setUint16(0x20e, 0xffff, true);
		expect(parseBzImage(bytes).kernelVersion).toBe("");
	});

	it("survives every truncation without any other error", () => {
		const whole = fakeBzImage({ payload: new Uint8Array(100) });
		for (let length = 0; length < whole.length - 16; length++) {
			const cut = whole.subarray(0, length);
			if (!isBzImage(cut)) continue;
			expect(() => parseBzImage(cut)).toThrow(/truncated/);
		}
	});

	it("prints protocols as the documentation does", () => {
		expect(formatProtocol(0x20f)).toBe("2.15");
		expect(formatProtocol(0x202)).toBe("2.02");
	});
});
