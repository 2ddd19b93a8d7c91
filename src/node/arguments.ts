/**
 * The command line as data: what the user asked for, or a `UsageError` that
 * says what was not understood. Commander does the splitting and the help; the
 * options are values in `options/`.
 *
 * Relies on commander and the options; `main.ts` relies on it.
 *
 * @journey L:110 What do you want?
 */

import { Argument, CommanderError, Option, Command as Parser } from "commander";
import { DISK_ACTIONS, type DiskAction } from "./disk-command.ts";
import type { ImageFile } from "./disk-files.ts";
import { DISK_HELP, INFO_HELP, PROGRAM_HELP, RUN_HELP } from "./help-text.ts";
import { parseImage } from "./options/disk.ts";
import { type OptionValues, RUN_OPTIONS } from "./options/index.ts";
import { badOption, OPTION_GROUPS, type RunOption } from "./options/option.ts";

/** `lguest run`, understood. */
export interface RunOptions extends OptionValues {
	/** Absent: the default guest. */
	readonly kernelPath: string | undefined;
	/** What came behind `--`. */
	readonly rest: readonly string[];
}

/** What a command line can ask for. */
export type Command =
	| { readonly kind: "help"; readonly text: string }
	| { readonly kind: "version" }
	| { readonly kind: "info"; readonly paths: readonly string[] }
	| {
			readonly kind: "disk";
			readonly action: DiskAction;
			readonly images: readonly ImageFile[];
	  }
	| { readonly kind: "run"; readonly options: RunOptions };

/** Understands everything behind the program's name. */
export function parseCommandLine(args: readonly string[]): Command {
	const end = args.indexOf("--");
	const ours = end < 0 ? args : args.slice(0, end);
	const rest = end < 0 ? [] : args.slice(end + 1);
	let command: Command | undefined;
	const parser = new CommandLineParser(rest, (understood) => {
		command = understood;
	});
	refuseUnknownCommand(parser.commandNames, ours[0]);
	return parser.parse(ours) ?? command ?? { kind: "version" };
}

/** Without this, a mistyped command would be taken for a kernel. */
function refuseUnknownCommand(
	known: readonly string[],
	word: string | undefined,
): void {
	if (word === undefined || word.startsWith("-") || known.includes(word)) {
		return;
	}
	throw badOption(`There is no command "${word}".`, "Try: lguest run KERNEL");
}

/** Lines of `--help` are no longer, however wide the terminal is. */
const HELP_COLUMNS = 80;

/** Commander, told what there is, and without its own ways of printing and leaving. */
export class CommandLineParser {
	readonly program: Parser;
	#printed = "";

	readonly #rest: readonly string[];
	readonly #onCommand: (command: Command) => void;

	/** `rest` is what stands behind `--`; what was asked for goes to `onCommand`. */
	constructor(rest: readonly string[], onCommand: (command: Command) => void) {
		this.#rest = rest;
		this.#onCommand = onCommand;
		this.program = this.#quiet(new Parser("lguest"))
			.description("run Linux guests on an x86 CPU made of WebAssembly")
			.usage("[command] [options] ...")
			.version("", "-V, --version", "the version")
			.helpCommand("help [command]", "explain a command")
			.addHelpText("after", PROGRAM_HELP);
		this.#addRun();
		this.#addInfo();
		this.#addDisk();
	}

	get commandNames(): string[] {
		return ["help", ...this.program.commands.map((one) => one.name())];
	}

	/** What commander answers by itself; otherwise it has called `onCommand`. */
	parse(args: readonly string[]): Command | undefined {
		try {
			this.program.parse(args, { from: "user" });
			return undefined;
		} catch (error) {
			if (!(error instanceof CommanderError)) throw error;
			if (error.code === "commander.version") return { kind: "version" };
			if (error.exitCode === 0) return { kind: "help", text: this.#printed };
			throw inOurWords(error.message);
		}
	}

	#addRun(): void {
		const run = this.#quiet(this.program.command("run", { isDefault: true }));
		run
			.summary("boot a kernel; without one, the default guest")
			.usage("[options] [kernel] [-- arguments...]")
			.argument("[kernel...]")
			.addHelpText("after", RUN_HELP);
		for (const group of OPTION_GROUPS) {
			for (const option of RUN_OPTIONS) {
				if (option.group === group) run.addOption(commanderOption(option));
			}
		}
		run.action((kernels: string[], values: Record<string, unknown>) => {
			const options = {
				...valuesByKey(values),
				kernelPath: onlyKernel(kernels),
				rest: this.#rest,
			};
			this.#onCommand({ kind: "run", options });
		});
	}

	#addInfo(): void {
		this.#quiet(this.program.command("info"))
			.summary("say what a kernel file is")
			.usage("<kernel...>")
			.argument("<kernel...>")
			.addHelpText("after", INFO_HELP)
			.action((paths: string[]) => this.#onCommand({ kind: "info", paths }));
	}

	#addDisk(): void {
		this.#quiet(this.program.command("disk"))
			.summary("say what a disk image is; commit or discard an overlay")
			.usage(`<${DISK_ACTIONS.join("|")}> <image[,format=raw|qcow2]...>`)
			.addArgument(new Argument("<action>").choices(DISK_ACTIONS))
			.argument("<image...>")
			.addHelpText("after", DISK_HELP)
			.action((action: DiskAction, images: string[]) => {
				const parsed = images.map(parseImage);
				this.#onCommand({ kind: "disk", action, images: parsed });
			});
	}

	#quiet(parser: Parser): Parser {
		const print = (text: string) => {
			this.#printed += text;
		};
		return parser
			.exitOverride()
			.configureOutput({
				writeOut: print,
				writeErr: () => {},
				getOutHelpWidth: () => HELP_COLUMNS,
			})
			.configureHelp({ visibleArguments: () => [] })
			.helpOption("-h, --help", "this text");
	}
}

function commanderOption(option: RunOption): Option {
	const made = new Option(option.flags, option.summary).helpGroup(option.group);
	if (option.parse === undefined) return made;
	return made.argParser((text, before) =>
		option.parse?.(text, before === undefined ? option.initial : before),
	);
}

/** Commander names values after the flag, the program after what they are. */
function valuesByKey(values: Readonly<Record<string, unknown>>): OptionValues {
	const entries = RUN_OPTIONS.map((option: RunOption) => {
		const given = values[commanderOption(option).attributeName()];
		return [option.key, given ?? option.initial];
	});
	return Object.fromEntries(entries);
}

/** "error: unknown option '--wibble'\n(Did you mean --this?)" as sentence and hint. */
function inOurWords(message: string): Error {
	const [said = "", suggestion] = message.replace(/^error: /, "").split("\n");
	const sentence = `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
	return badOption(sentence, suggestion?.replace(/^\((.*)\)$/, "$1"));
}

function onlyKernel(files: readonly string[]): string | undefined {
	const [kernel, second] = files;
	if (kernel === "") {
		throw badOption("The kernel has no name.", "Try: lguest run KERNEL");
	}
	if (second !== undefined) {
		throw badOption(
			`"${second}" is one argument too many: one kernel runs at a time.`,
			"Arguments for the kernel go behind --.",
		);
	}
	return kernel;
}
