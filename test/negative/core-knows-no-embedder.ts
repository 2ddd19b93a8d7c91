/**
 * This file must NOT compile: it stands in the core's project and reaches for
 * what only an embedder has. Each line that wants an error says so, and
 * `scripts/negative.ts` fails when one of them compiles or another breaks.
 */

console.log(process.version); // error: console, process
document.createElement("p"); // error: document
Buffer.alloc(1); // error: Buffer
fetch("https://example.org"); // error: fetch
export const socket = new WebSocket("ws://example.org"); // error: WebSocket

export const fine = new WebAssembly.Memory({ initial: 1 });
export const alsoFine = new TextDecoder().decode(new Uint8Array([104, 105]));
