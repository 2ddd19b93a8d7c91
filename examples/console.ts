// Talks to the shell on the guest's console, as a person at a terminal does.
import { launch } from "lguest/node";

const guest = await launch();
const reader = guest.console.readable.getReader();
const writer = guest.console.writable.getWriter();
let seen = "";

/** Reads on until `text` has appeared. */
async function waitFor(text: string): Promise<void> {
	while (!seen.includes(text)) {
		const { done, value } = await reader.read();
		if (done) throw new Error(`the guest ended before it said ${text}`);
		seen += new TextDecoder().decode(value);
	}
}

await waitFor("# ");
await writer.write(new TextEncoder().encode("echo $((6 * 7)) is the answer\n"));
await waitFor("42 is the answer");
await writer.write(new TextEncoder().encode("poweroff\n"));
const end = await guest.exited;
console.log(`${seen}\nThe guest ended: ${end.kind}`);
