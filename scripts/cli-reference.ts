/**
 * docs/cli.md, generated from the command line's parser: what `--help` prints,
 * and what the options' manuals say besides. Without arguments it complains if
 * the file is not what would be written; with `--write` it writes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandLineParser } from "../src/node/arguments.ts";
import { RUN_OPTIONS } from "../src/node/options/index.ts";
import { OPTION_GROUPS, type RunOption } from "../src/node/options/option.ts";
import { isMain, projectRoot } from "./sources.ts";

const PATH = join(projectRoot, "docs/cli.md");

const INTRODUCTION = `# The command line

Generated from the parser by \`npm run cli-reference -- --write\`; a test
compares it.
`;

/** The whole page. */
export function cliReference(): string {
	const names = [[], ["run"], ["info"], ["disk"]];
	const pages = names.map(
		(name) =>
			`## \`${["lguest", ...name].join(" ")}\`\n\n\`\`\`text\n${helpOf(name)}\n\`\`\`\n`,
	);
	const options = OPTION_GROUPS.map(groupOf);
	return [INTRODUCTION, ...pages, "## Options of `lguest run`\n", ...options]
		.join("\n")
		.replace(/\n{3,}/g, "\n\n");
}

function helpOf(command: readonly string[]): string {
	const answer = new CommandLineParser([], () => {}).parse([
		...command,
		"--help",
	]);
	return answer?.kind === "help" ? answer.text.trim() : "";
}

function groupOf(group: (typeof OPTION_GROUPS)[number]): string {
	const options: readonly RunOption[] = RUN_OPTIONS;
	const entries = options
		.filter((option) => option.group === group)
		.map(
			({ flags, summary, manual }) =>
				`#### \`${flags}\`\n\n${manual ?? sentence(summary)}\n`,
		);
	return `### ${group.replace(/:$/, "")}\n\n${entries.join("\n")}`;
}

function sentence(summary: string): string {
	return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

if (isMain(import.meta.url)) {
	const text = cliReference();
	if (process.argv.includes("--write")) writeFileSync(PATH, text);
	else if (readFileSync(PATH, "utf8") !== text) {
		console.error(
			"docs/cli.md is not what the parser says: npm run cli-reference -- --write",
		);
		process.exitCode = 1;
	}
}
