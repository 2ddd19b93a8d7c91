// A kernel of your own, with a disk that is an object in this program:
//     node examples/own-kernel.ts KERNEL [INITRD [WORDS FOR THE KERNEL...]]
import { MemoryDisk } from "lguest";
import { launch } from "lguest/node";

const [kernel, initrd, ...words] = process.argv.slice(2);
if (kernel === undefined) throw new Error("Which kernel?");

const guest = await launch({
	kernel,
	...(initrd !== undefined && { initrd }),
	kernelArguments: ["panic=-1", ...words],
	disks: [{ backend: new MemoryDisk(16 << 20), serial: "scratch" }],
	entropy: true,
	signal: AbortSignal.timeout(300_000),
});
guest.on("device", ({ index, state }) => {
	console.log(`device ${index} is ${state}`);
});

const reader = guest.console.readable.getReader();
for (;;) {
	const { done, value } = await reader.read();
	if (done) break;
	process.stdout.write(value);
}
console.log(`The guest ended: ${(await guest.exited).kind}`);
