import { expect, it } from "vitest";
import { PortBus } from "./bus.ts";
import { LegacyPorts } from "./legacy-ports.ts";

it("keeps DMA page registers apart and shows idle DMA controllers", () => {
	const ports = new PortBus();
	new LegacyPorts().attach(ports);
	ports.write(0x80, 1, 0x11);
	ports.write(0x87, 1, 0x22);
	expect(ports.read(0x80, 1)).toBe(0x11);
	expect(ports.read(0x87, 1)).toBe(0x22);
	expect(ports.read(0x08, 1)).toBe(0);
	expect(ports.read(0xd0, 1)).toBe(0);
	expect(ports.read(0xe0, 1)).toBe(0xff);
});
