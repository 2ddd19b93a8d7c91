import { expect, it } from "vitest";
import { NetSwitch } from "./net-switch.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const address = (n: number) => [2, 0, 0, 0, n >> 8, n & 0xff];
const frame = (to: readonly number[], from: readonly number[], length = 20) => {
	const bytes = new Uint8Array(length);
	bytes.set([...to, ...from].slice(0, length));
	return bytes;
};

function setUp(count: number) {
	const net = new NetSwitch();
	const heard: string[] = [];
	const ports = Array.from({ length: count }, (_, index) => {
		const port = net.port();
		port.onFrame = (bytes) => heard.push(`${index} hears ${bytes[11]}`);
		return port;
	});
	return { net, ports, heard };
}

it("sends a frame everywhere until it knows better, then only there", () => {
	const { ports, heard } = setUp(3);
	ports[0]?.send(frame(address(1), address(0)));
	expect(heard.splice(0)).toEqual(["1 hears 0", "2 hears 0"]);
	ports[1]?.send(frame(address(0), address(1)));
	expect(heard.splice(0)).toEqual(["0 hears 1"]);
	ports[0]?.send(frame(address(1), address(0)));
	expect(heard.splice(0)).toEqual(["1 hears 0"]);
});

it("sends what is for many to all but the sender", () => {
	const { ports, heard } = setUp(3);
	ports[2]?.send(frame(BROADCAST, address(2)));
	expect(heard).toEqual(["0 hears 2", "1 hears 2"]);
});

it("follows an address that moves, and forgets a port that goes", () => {
	const { net, ports, heard } = setUp(3);
	ports[0]?.send(frame(BROADCAST, address(9)));
	ports[1]?.send(frame(BROADCAST, address(9)));
	heard.length = 0;
	ports[2]?.send(frame(address(9), address(2)));
	expect(heard.splice(0)).toEqual(["1 hears 2"]);
	if (ports[1] !== undefined) net.remove(ports[1]);
	ports[2]?.send(frame(address(9), address(2)));
	expect(heard.splice(0)).toEqual(["0 hears 2"]);
	ports[1]?.send(frame(BROADCAST, address(9)));
	expect(heard).toEqual([]);
});

it("learns no group address as a sender, and drops what is no frame", () => {
	const { ports, heard } = setUp(2);
	ports[0]?.send(frame(address(1), BROADCAST));
	ports[0]?.send(frame(BROADCAST, address(0), 13));
	expect(heard).toEqual(["1 hears 255"]);
});

it("remembers a bounded number of addresses, the oldest goes first", () => {
	const { ports, heard } = setUp(3);
	ports[1]?.send(frame(BROADCAST, address(5000)));
	for (let n = 0; n < 1024; n++) ports[0]?.send(frame(BROADCAST, address(n)));
	heard.length = 0;
	ports[2]?.send(frame(address(5000), address(3000)));
	expect(heard.splice(0)).toHaveLength(2);
	ports[2]?.send(frame(address(1023), address(3000)));
	expect(heard).toHaveLength(1);
});
