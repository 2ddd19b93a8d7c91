import { describe, expect, it } from "vitest";
import { UsageError } from "../index.ts";
import { openBrowserDevices } from "./device-backends.ts";

const net = (mac?: string) => ({
	nets: [{ kind: "switch" as const, name: "n", ...(mac && { mac }) }],
});

describe("A network card in a browser", () => {
	it("has the address it is given, or one of nobody's", async () => {
		const given = await openBrowserDevices(net("02:00:00:00:0a:0B"));
		expect([...(given.virtio.networks?.[0]?.mac ?? [])]).toEqual([
			...[2, 0, 0, 0, 10, 11],
		]);
		const chance = await openBrowserDevices(net());
		expect(chance.virtio.networks?.[0]?.mac[0]).toBe(2);
		await given.close();
		await chance.close();
	});

	it.each([
		"01:00:00:00:00:01",
		"ff:ff:ff:ff:ff:ff",
		"00:00:00:00:00:00",
		"2:0:0:0:0:1",
		"x",
	])("has no address like %s", async (mac) => {
		await expect(openBrowserDevices(net(mac))).rejects.toThrow(UsageError);
	});
});
