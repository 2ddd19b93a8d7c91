/**
 * Puts passages into their order, checks that the Journey can be travelled,
 * and writes it as one Markdown text.
 */
import type { Passage } from "./passages.ts";

/** A chapter: its letter, its name, and one line on why one reads it. */
export interface Part {
	readonly letter: string;
	readonly title: string;
	readonly intro: string;
}

/** The chapters in reading order. */
export const parts: readonly Part[] = [
	{
		letter: "P",
		title: "Preparation",
		intro: "You meet the files: what each is for, and on whom it leans.",
	},
	{
		letter: "G",
		title: "Guest",
		intro: "What a kernel asks for, and what it sees when it looks around.",
	},
	{
		letter: "D",
		title: "Drivers",
		intro: "Rings in shared memory: how Guest and device talk without a wire.",
	},
	{
		letter: "L",
		title: "Launcher",
		intro: "From a command line to a kernel in memory and a first instruction.",
	},
	{
		letter: "H",
		title: "Host",
		intro: "The loop that runs the Guest, and everything that interrupts it.",
	},
	{
		letter: "S",
		title: "Switcher",
		intro: "The narrow door: into generated WebAssembly and out again.",
	},
	{
		letter: "E",
		title: "Engine",
		intro:
			"Where the original had silicon, we have bytes, a table, meanings and code that writes code.",
	},
	{
		letter: "M",
		title: "Mastery",
		intro: "You have the whole. Here is what could be better, and how.",
	},
];

/** A screen is some forty lines; past two of them a passage wants splitting. */
const MAX_PROSE_LINES = 80;

/** The passages of one part, by number. */
export function inOrder(
	passages: readonly Passage[],
	letter: string,
): Passage[] {
	return passages
		.filter((passage) => passage.id.startsWith(letter))
		.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Everything that would trip a traveller, one line each. */
export function checkPassages(
	passages: readonly Passage[],
	sources: readonly string[],
): string[] {
	const told = new Set(passages.map((passage) => passage.path));
	return [
		...duplicates(passages),
		...passages.flatMap((passage) => checkPassage(passage, passages)),
		...sources
			.filter((path) => !told.has(path))
			.map((path) => `${path}: no @journey passage`),
	];
}

function duplicates(passages: readonly Passage[]): string[] {
	const first = new Map<string, Passage>();
	return passages.flatMap((passage) => {
		const other = first.get(passage.id);
		if (other === undefined) {
			first.set(passage.id, passage);
			return [];
		}
		return [`${where(passage)}: ${passage.id} is taken by ${where(other)}`];
	});
}

function checkPassage(passage: Passage, all: readonly Passage[]): string[] {
	const complaints: string[] = [];
	if (!parts.some((part) => passage.id.startsWith(part.letter)))
		complaints.push(`${where(passage)}: ${passage.id} is in no chapter`);
	if (passage.prose === "")
		complaints.push(`${where(passage)}: ${passage.id} says nothing`);
	if (passage.prose.split("\n").length > MAX_PROSE_LINES)
		complaints.push(`${where(passage)}: ${passage.id} is over two screens`);
	for (const [, id] of passage.prose.matchAll(/\(see ([A-Z]:\d{3})\)/g))
		if (!all.some((other) => other.id === id))
			complaints.push(`${where(passage)}: no passage ${id} to see`);
	return complaints;
}

function where(passage: Passage): string {
	return `${passage.path}:${passage.line}`;
}

/** The text of docs/journey.md: no line numbers, no code, so it ages slowly. */
export function weave(passages: readonly Passage[]): string {
	const chapters = parts.map((part) => weaveChapter(part, passages));
	return [
		"# The Journey through lguest",
		"",
		"Woven from the sources by `npm run journey -- --write`; edit the comments",
		"there. `npm run journey P` prints a chapter together with its code.",
		"",
		...chapters,
	].join("\n");
}

function weaveChapter(part: Part, passages: readonly Passage[]): string {
	const stops = inOrder(passages, part.letter).map(
		(passage) =>
			`<a id="${passage.id.toLowerCase().replace(":", "")}"></a>\n\n### ${passage.id} ${passage.title}\n\n[${passage.path}](../${passage.path})\n\n${linkSees(passage.prose)}\n`,
	);
	return [`## ${part.letter}: ${part.title}\n\n${part.intro}\n`, ...stops].join(
		"\n",
	);
}

/** `(see H:120)` becomes a link to that passage's anchor. */
function linkSees(prose: string): string {
	return prose.replace(
		/\(see ([A-Z]):(\d{3})\)/g,
		(_all, letter: string, number: string) =>
			`(see [${letter}:${number}](#${letter.toLowerCase()}${number}))`,
	);
}
