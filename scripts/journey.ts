/**
 * Weaves the Journey: collects the passages tagged `@journey` all over the
 * sources, checks them, prints a chapter with its code, and keeps
 * docs/journey.md, which has prose, order and links but no code so that code
 * edits do not churn it.
 *
 *     npm run journey            check everything
 *     npm run journey H          print chapter H
 *     npm run journey -- --write weave docs/journey.md
 *
 * @journey P:010 How to travel
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brokenTagsOf, type Passage, passagesOf } from "./journey/passages.ts";
import { checkPassages, inOrder, parts, weave } from "./journey/weave.ts";
import { filesUnder, isMain, programSources, projectRoot } from "./sources.ts";

const wovenPath = join(projectRoot, "docs/journey.md");

/** What is worth travelling through: the program, its scripts and tests, its guests. */
function readTravelled(): [path: string, text: string][] {
	const files = [
		...filesUnder("src", /(?<!\.test)\.ts$|\.html$/),
		...filesUnder("scripts", /(?<!\.test)\.ts$/),
		...filesUnder("test", /(?<!\.test)\.ts$/),
		...(existsSync(join(projectRoot, "guests"))
			? filesUnder("guests", /\.(ts|[sSch])$/)
			: []),
	];
	return files.map((path) => [
		path,
		readFileSync(join(projectRoot, path), "utf8"),
	]);
}

function collect(): Passage[] {
	return readTravelled().flatMap(([path, text]) => passagesOf(path, text));
}

/** Everything wrong with the Journey as it stands, docs/journey.md included. */
export function checkJourney(): string[] {
	const passages = collect();
	const complaints = [
		...readTravelled().flatMap(([path, text]) => brokenTagsOf(path, text)),
		...checkPassages(passages, programSources()),
	];
	const woven = existsSync(wovenPath) ? readFileSync(wovenPath, "utf8") : "";
	if (woven !== weave(passages))
		complaints.push(
			"docs/journey.md is stale: run `npm run journey -- --write`",
		);
	return complaints;
}

function printChapter(letter: string): void {
	// `npm run journey E | head` closes the pipe early; that is not an error.
	process.stdout.on("error", () => process.exit(0));
	const part = parts.find((one) => one.letter === letter);
	if (part === undefined) {
		const letters = parts.map((one) => one.letter).join(" ");
		console.error(`There is no chapter ${letter}; there are ${letters}.`);
		process.exitCode = 2;
		return;
	}
	console.log(`# ${part.title}\n\n${part.intro}\n`);
	for (const passage of inOrder(collect(), letter)) {
		console.log(`## ${passage.id} ${passage.title}`);
		console.log(`   ${passage.path}:${passage.line}\n`);
		console.log(`${passage.prose}\n`);
		if (passage.code !== "") console.log(`${indent(passage.code)}\n`);
	}
}

function indent(text: string): string {
	return text.replace(/^(?=.)/gm, "    ");
}

function runCheck(): void {
	const complaints = checkJourney();
	for (const complaint of complaints) console.error(complaint);
	console.log(
		`journey: ${collect().length} passages, ${complaints.length} complaints`,
	);
	process.exitCode = complaints.length === 0 ? 0 : 1;
}

if (isMain(import.meta.url)) {
	const [argument] = process.argv.slice(2);
	if (argument === undefined) runCheck();
	else if (argument === "--write") {
		writeFileSync(wovenPath, weave(collect()));
		runCheck();
	} else printChapter(argument.toUpperCase());
}
