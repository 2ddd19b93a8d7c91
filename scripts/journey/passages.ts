/**
 * Reads the passages out of one source file: a doc comment with a line
 * `@journey H:120 Title`, its prose, and the declaration it stands on.
 *
 * A text scanner rather than a compiler: it must read TypeScript, assembly and
 * HTML alike, and the formatter has already put every declaration where its
 * end can be seen.
 */

/** One stop of the Journey. */
export interface Passage {
	/** Part and number, `H:120`. */
	readonly id: string;
	readonly title: string;
	readonly path: string;
	/** Where its comment starts. */
	readonly line: number;
	readonly prose: string;
	/** What follows the comment; empty for a file's opening and for `prose`. */
	readonly code: string;
}

const TAG = /^@journey\s+([A-Z]:\d{3})\s+(.+?)(\s+prose)?$/;

/** All passages of a file, in file order. */
export function passagesOf(path: string, text: string): Passage[] {
	const form = path.endsWith(".ts")
		? { comment: /^[ \t]*\/\*\*[\s\S]*?\*\//gm, code: declarationAt }
		: { comment: /\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->/g, code: paragraphAt };
	return [...text.matchAll(form.comment)].flatMap((match) => {
		const lines = proseLines(match[0]);
		const tag = lines.map((line) => TAG.exec(line)).find((found) => found);
		if (!tag) return [];
		const [, id = "", title = "", proseOnly] = tag;
		const after = text.slice(match.index + match[0].length);
		return [
			{
				id,
				title,
				path,
				line: text.slice(0, match.index).split("\n").length,
				prose: joinProse(lines.filter((line) => !TAG.test(line))),
				code:
					proseOnly !== undefined || match.index === 0 ? "" : form.code(after),
			},
		];
	});
}

/** Lines that look like a tag but are none: a typo must not lose a passage. */
export function brokenTagsOf(path: string, text: string): string[] {
	return text.split("\n").flatMap((line, index) => {
		const bare = line.replace(/^\s*(\/\*\*?|\*|<!--)?\s*/, "").trim();
		const ended = bare.replace(/\s*(\*\/|-->)$/, "");
		return /^@journey\b/.test(ended) && !TAG.test(ended)
			? [`${path}:${index + 1}: not a journey tag: ${ended}`]
			: [];
	});
}

function proseLines(comment: string): string[] {
	return comment
		.replace(/^\s*(\/\*\*?|<!--)/, "")
		.replace(/(\*\/|-->)$/, "")
		.split("\n")
		.map((line) => line.replace(/^\s*\*? ?/, "").trimEnd());
}

function joinProse(lines: readonly string[]): string {
	return lines
		.join("\n")
		.replace(/\n{3,}/g, "\n\n")
		.trim();
}

/** Up to the next blank line. */
function paragraphAt(text: string): string {
	return (/^\s*([\s\S]*?)(?:\n\s*\n|$)/.exec(text)?.[1] ?? "").trimEnd();
}

/** The declaration at the start of `text`; none when a blank line comes first. */
export function declarationAt(text: string): string {
	if (/^[ \t]*\n[ \t]*\n/.test(text)) return "";
	const start = /^[ \t]*\n/.exec(text)?.[0].length ?? 0;
	const end = declarationEnd(text, start);
	return dedent(text.slice(start, end));
}

/** Past the first line end where all brackets are closed after `;`, `}` or `,`. */
function declarationEnd(text: string, start: number): number {
	let depth = 0;
	let last = "";
	let index = start;
	while (index < text.length) {
		const literal = literalAt(text, index, last);
		if (literal > 0) {
			index += literal;
			if (!text.startsWith("/", index - 1)) last = '"';
			continue;
		}
		const char = text[index] ?? "";
		if ("([{".includes(char)) depth++;
		if (")]}".includes(char)) depth--;
		if (depth < 0) return text.lastIndexOf("\n", index);
		if (char === "\n" && depth === 0 && ";},".includes(last) && last !== "")
			return index;
		if (!/\s/.test(char)) last = char;
		index++;
	}
	return text.length;
}

const LITERALS =
	/\/\/.*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/y;
const REGEX = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y;

/** Length of the comment, string, template or regular expression at `index`. */
function literalAt(text: string, index: number, last: string): number {
	LITERALS.lastIndex = index;
	const literal = LITERALS.exec(text);
	if (literal) return literal[0].length;
	if (!"(,=:[!&|?{};".includes(last)) return 0;
	REGEX.lastIndex = index;
	return REGEX.exec(text)?.[0].length ?? 0;
}

function dedent(text: string): string {
	const margin = /^[ \t]*/.exec(text)?.[0] ?? "";
	return text
		.split("\n")
		.map((line) => (line.startsWith(margin) ? line.slice(margin.length) : line))
		.join("\n")
		.trimEnd();
}
