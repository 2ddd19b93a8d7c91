import { describe, expect, it } from "vitest";
import { Progress } from "./progress.ts";

function output(isTTY: boolean) {
	const written: string[] = [];
	const write = (text: string) => written.push(text);
	return { written, stream: { isTTY, write } };
}

describe("The progress line", () => {
	it("appears on a terminal and leaves no trace", () => {
		const { written, stream } = output(true);
		const progress = new Progress(stream);
		progress.announce("unpacking the kernel");
		progress.clear();
		expect(written).toEqual([
			"\rlguest: unpacking the kernel...\u001b[K",
			"\r\u001b[K",
		]);
	});

	it("does not appear for what is over at once", () => {
		const { written, stream } = output(true);
		const progress = new Progress(stream);
		progress.show("reading the kernel", 1, 2);
		progress.clear();
		expect(written).toEqual([]);
	});

	it("never gets into files and pipes", () => {
		const { written, stream } = output(false);
		const progress = new Progress(stream);
		progress.announce("unpacking the kernel");
		progress.clear();
		expect(written).toEqual([]);
	});

	it("says how far it has come once something takes long", async () => {
		const { written, stream } = output(true);
		const progress = new Progress(stream);
		await new Promise((resolve) => setTimeout(resolve, 200));
		progress.show("reading the initrd", 12 << 20, 30 << 20);
		expect(written[0]).toContain("reading the initrd: 12 of 30 MiB");
	});
});
