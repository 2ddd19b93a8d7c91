/**
 * docs/session.svg, the README's picture: a session typed at the default guest's
 * console by this script, as the guest answered it. Relies on the built package
 * and the default guest.
 *
 *     npm run session-picture
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch } from "lguest/node";
import { plain } from "../src/node/top-view.ts";
import { projectRoot } from "./sources.ts";

const COLUMNS = 80;
const PROMPT = /[$#] $/;
const COMMANDS = [
	"uname -srm",
	"grep 'model name' /proc/cpuinfo",
	"echo hello from the inside | tr a-z A-Z",
	"free -m | head -2",
];

const LINE = 18;
const WIDTH = 8.2;
const MARGIN = 16;
const TITLE = 30;

async function session(): Promise<string> {
	const terminal = { columns: COLUMNS, rows: 24 };
	const guest = await launch({ terminal });
	const reader = guest.console.readable.getReader();
	const writer = guest.console.writable.getWriter();
	let said = "";
	const prompted = async (from: number) => {
		while (!PROMPT.test(plain(said.slice(from)))) {
			const { done, value } = await reader.read();
			if (done) throw new Error(`the guest ended:\n${said}`);
			said += new TextDecoder().decode(value);
		}
	};
	await prompted(0);
	for (const command of COMMANDS) {
		const from = said.length;
		await writer.write(new TextEncoder().encode(`${command}\n`));
		await prompted(from);
	}
	await guest.stop();
	return plain(said)
		.replaceAll(/\n{2,}/g, "\n")
		.replace(/\n.*$/, "");
}

function escaped(text: string): string {
	return text
		.replaceAll("&", "&amp;")
		.replaceAll("<", "&lt;")
		.replaceAll(">", "&gt;");
}

/** A window with a title, and the lines in it. */
function picture(lines: readonly string[]): string {
	const width = COLUMNS * WIDTH + 2 * MARGIN;
	const height = TITLE + lines.length * LINE + 2 * MARGIN;
	const text = lines.map((line, index) => {
		const y = TITLE + MARGIN + (index + 0.75) * LINE;
		const isTyped = /^\S*[$#] |^\$ /.test(line);
		const fill = isTyped ? ' fill="#9ece6a"' : "";
		return `<text x="${MARGIN}" y="${y}" xml:space="preserve"${fill}>${escaped(line)}</text>`;
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="A terminal session with lguest" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13.5" fill="#c0caf5">
<rect width="${width}" height="${height}" rx="8" fill="#1a1b26"/>
<circle cx="20" cy="16" r="5" fill="#f7768e"/><circle cx="38" cy="16" r="5" fill="#e0af68"/><circle cx="56" cy="16" r="5" fill="#9ece6a"/>
${text.join("\n")}
</svg>
`;
}

const lines = `$ npx lguest\n${await session()}`.split("\n");
writeFileSync(join(projectRoot, "docs/session.svg"), picture(lines));
console.log(lines.join("\n"));
