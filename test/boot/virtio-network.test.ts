/**
 * Two guests with Debian's own driver for virtio network cards, on a switch of
 * ours: with all that cards do for their drivers, and with none of it.
 */

import { describe, expect, it } from "vitest";
import { GuestSession } from "./session.ts";
import { PROGRAM, TEN_MINUTES, virtioBoot } from "./virtio-boot.ts";

/** Fetches /file from whatever address it is told, and serves what it got. */
const PEER = `sh /lib/modules/load
for i in 0 1; do busybox ifconfig eth$i 10.0.$i.2 netmask 255.255.255.0 up; done
busybox httpd -h /tmp
echo peer is ready
while true; do
	address=$(nc -l -p 99)
	rm -f /tmp/got
	busybox wget -q -O /tmp/part http://$address/file && mv /tmp/part /tmp/got
done
`;

const boot = await virtioBoot([{ path: "peer", data: PEER }]);

describe.skipIf(boot === undefined)("two guests on a switch", () => {
	it(
		"ping each other and copy a file, with large frames and without",
		async () => {
			const options = {
				...{ ...boot, disks: [], arguments: ["quiet"] },
				...{ transport: "pci", packedRings: true },
				peerArguments: ["quiet", "SCRIPT=/peer"],
			};
			const session = new GuestSession([
				...[process.execPath, PROGRAM, JSON.stringify(options)],
			]);
			try {
				await session.shell();
				await session.run(
					"sh /lib/modules/load; busybox httpd -h /; for i in 0 1; do busybox ifconfig eth$i 10.0.$i.1 netmask 255.255.255.0 up; until ping -c 1 10.0.$i.2 >/dev/null; do :; done; done",
				);
				const ping = await session.run("ping -c 5 -i 0.2 10.0.0.2");
				expect(ping.output).toContain("5 packets received, 0% packet loss");
				// On the second network the peer has no offloads: what this guest
				// leaves to others is done for the peer, which checks every sum.
				for (const net of [0, 1]) {
					const { output } = await session.run(
						`head -c 3000000 /dev/urandom >/file; until echo 10.0.${net}.1 | nc 10.0.${net}.2 99 2>/dev/null; do sleep 1; done; until busybox wget -q -O /back http://10.0.${net}.2/got 2>/dev/null; do sleep 1; done; sha256sum </file; sha256sum </back; cd /sys/class/net/eth${net}/statistics; echo $(($(cat tx_bytes) / $(cat tx_packets)))`,
					);
					const [sent, received, meanBytes] = output.trim().split("\n");
					expect(sent).toMatch(/^[0-9a-f]{64} /);
					expect(received).toBe(sent);
					// Acknowledgements included: without large ones it is below 1514.
					expect(Number(meanBytes)).toBeGreaterThan(1514);
				}
				const { output } = await session.run(
					"cat /sys/class/net/eth0/device/features",
				);
				// GUEST_CSUM, GUEST_TSO4 and HOST_TSO4.
				expect([output[1], output[7], output[11]]).toEqual(["1", "1", "1"]);
			} finally {
				await session.close();
			}
		},
		TEN_MINUTES,
	);
});
