import { expect, it } from "vitest";
import { type AccessSize, PortBus } from "./bus.ts";
import { DebugExit } from "./debug-exit.ts";

it("reports a byte, a word or a dword as one value each", () => {
	const ports = new PortBus();
	const values: number[] = [];
	const exit = new DebugExit();
	exit.onExit = (value) => values.push(value);
	exit.attach(ports, 0xf4, 4);
	for (const size of [1, 2, 4] as AccessSize[]) {
		ports.write(0xf4, size, 0x89abcdef);
	}
	expect(values).toEqual([0xef, 0xcdef, 0x89abcdef]);
	expect(ports.read(0xf4, 1)).toBe(0);
});
