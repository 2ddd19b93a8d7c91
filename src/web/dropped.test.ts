import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { multibootImage } from "../../test/boot/multiboot-image.ts";
import { roleOf } from "./dropped.ts";

const guest = (name: string) =>
	new File(
		[
			readFileSync(
				new URL(`../../guests/default/${name}`, import.meta.url),
			) as Uint8Array<ArrayBuffer>,
		],
		"anything",
	);

describe("A dropped file", () => {
	it("is told by its first bytes", async () => {
		expect(await roleOf(guest("vmlinuz"))).toBe("kernel");
		expect(await roleOf(guest("initramfs.cpio.gz"))).toBe("initrd");
		expect(await roleOf(new File(["070701".padEnd(600)], "x"))).toBe("initrd");
		const elf = multibootImage([0xf4]) as Uint8Array<ArrayBuffer>;
		expect(await roleOf(new File([elf], "x"))).toBe("kernel");
	});

	it("is a disk by its name or if it is whole sectors, and else nothing", async () => {
		expect(await roleOf(new File(["short"], "a.img"))).toBe("disk");
		expect(await roleOf(new File([new Uint8Array(1024)], "a"))).toBe("disk");
		expect(await roleOf(new File(["short"], "a.txt"))).toBeUndefined();
		expect(await roleOf(new File([], "a"))).toBeUndefined();
	});
});
