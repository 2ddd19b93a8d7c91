import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
	deviceCases,
	MockDriver,
	room,
	TestMemory,
	VirtioDevice,
} from "../../src/testing/index.ts";
import { Adder } from "./adder.ts";

function setUp(accept: readonly number[] = []) {
	const memory = new TestMemory();
	const device = new VirtioDevice(new Adder(), memory);
	return MockDriver.started(device, memory, { accept });
}

const numbers = (...values: number[]) =>
	new Uint8Array(Uint32Array.from(values).buffer);

describe("the adding machine", () => {
	for (const { title, run } of deviceCases(() => new Adder())) it(title, run);

	it("adds, and counts its sums", () => {
		const driver = setUp();
		driver.queue().send(numbers(1, 2), numbers(39), room(4));
		const [used] = driver.queue().takeUsed();
		expect(used?.written).toEqual(numbers(42));
		expect(driver.side.takeInterrupts()).toEqual({ queue: true, config: true });
		expect([...driver.side.readConfig(0, 4)]).toEqual([1, 0, 0, 0]);
	});

	it("caps its sums if that was negotiated", () => {
		for (const [accept, sum] of [
			[[], 1],
			[[0], 0xffff_ffff],
		] as const) {
			const driver = setUp(accept);
			driver.queue().send(numbers(0xffff_ffff, 2), room(4));
			expect(driver.queue().takeUsed()[0]?.written).toEqual(numbers(sum));
		}
	});

	it("is what the documentation shows", () => {
		const read = (path: string) => readFileSync(path, "utf8");
		const source = read("test/examples/adder.ts");
		const shown = source
			.slice(source.indexOf("import type"))
			.replace("../../src/index.ts", "lguest");
		expect(read("docs/devices.md")).toContain(shown);
	});
});
