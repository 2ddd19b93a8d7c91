/**
 * How the page's guests are set up, as a link's fragment and as options for
 * `launch`. A fragment never reaches a server. Each guest is a list of
 * `name=value`, the guests are joined by semicolons:
 *
 * | Name      | Meaning                                             | Default |
 * | --------- | --------------------------------------------------- | ------- |
 * | `memory`  | MiB                                                 | 256     |
 * | `kernel`  | URL; with it the default guest's files do not count | none    |
 * | `initrd`  | URL                                                 | none    |
 * | `append`  | words for the kernel                                | none    |
 * | `disk`    | URL of a raw image                                  | none    |
 * | `blank`   | an empty disk of so many MiB, without `disk`        | 0       |
 * | `keep`    | what is written to disks is kept under this name    | none    |
 * | `net`     | a network card on the switch of this name           | none    |
 * | `address` | the card's address in the default guest             | any     |
 * | `start`   | `no`: wait for the button                           | yes     |
 *
 * Relies on `lguest/browser`; the page relies on it.
 *
 * @journey L:322 A guest in a link
 */

import type { BrowserLaunchOptions } from "../browser/index.ts";
import { blankDisk } from "../browser/index.ts";

/** One guest; empty text is "none". */
export interface GuestSetup {
	readonly memory: number;
	readonly kernel: string;
	readonly initrd: string;
	readonly append: string;
	readonly disk: string;
	readonly blank: number;
	readonly keep: string;
	readonly net: string;
	readonly address: string;
	readonly start: "yes" | "no";
}

/** Files of the user's, which no link can name. */
export interface OwnFiles {
	readonly kernel?: File;
	readonly initrd?: File;
	readonly disks: readonly File[];
}

export const DEFAULT_SETUP: GuestSetup = {
	memory: 256,
	kernel: "",
	initrd: "",
	append: "",
	disk: "",
	blank: 0,
	keep: "",
	net: "",
	address: "",
	start: "yes",
};

/** What a guest can be given: more is more than WebAssembly's tables and a tab bear well. */
export const MEMORY_MIB = [64, 128, 256, 512, 1024] as const;
const MOST_GUESTS = 8;
const MOST_BLANK_MIB = 16_384;

/** `memory=128;memory=64&net=lab`; empty for one guest as it comes. */
export function fragmentOf(guests: readonly GuestSetup[]): string {
	return guests.map(textOf).join(";");
}

/** At least one guest; what is not understood is as it is by default. */
export function setupsOf(fragment: string): GuestSetup[] {
	return fragment.split(";").slice(0, MOST_GUESTS).map(setupOf);
}

function textOf(setup: GuestSetup): string {
	const changed = Object.entries(setup).filter(
		([name, value]) => value !== DEFAULT_SETUP[name as keyof GuestSetup],
	);
	const words = changed.map(([name, value]) => [name, String(value)] as const);
	return String(new URLSearchParams(Object.fromEntries(words)));
}

function setupOf(text: string): GuestSetup {
	const given = new URLSearchParams(text);
	const word = (name: keyof GuestSetup) => given.get(name) ?? "";
	const memory = Number(word("memory"));
	const blank = Number(word("blank"));
	return {
		memory: (MEMORY_MIB as readonly number[]).includes(memory)
			? memory
			: DEFAULT_SETUP.memory,
		kernel: word("kernel"),
		initrd: word("initrd"),
		append: word("append"),
		disk: word("disk"),
		blank:
			Number.isInteger(blank) && blank > 0
				? Math.min(blank, MOST_BLANK_MIB)
				: 0,
		keep: word("keep"),
		net: word("net"),
		address: word("address"),
		start: word("start") === "no" ? "no" : "yes",
	};
}

/** What a set-up does not say itself. */
export interface SetupContext {
	/** For a guest whose set-up has none. */
	readonly address: string;
	/** Where URLs start from. */
	readonly baseUrl: string;
}

/** What the element shall launch. */
export function optionsOf(
	setup: GuestSetup,
	files: OwnFiles,
	{ address, baseUrl }: SetupContext,
): Partial<BrowserLaunchOptions> {
	const urlOf = (text: string) =>
		text === "" ? undefined : new URL(text, baseUrl).href;
	const kernel = files.kernel ?? urlOf(setup.kernel);
	const initrd = files.initrd ?? urlOf(setup.initrd);
	const isDefault = kernel === undefined;
	return {
		memoryBytes: setup.memory * 2 ** 20,
		...(kernel !== undefined && { kernel }),
		...(initrd !== undefined && { initrd }),
		// Packed in its own way, if at all.
		...(isDefault && initrd !== undefined && { initrdPacking: undefined }),
		kernelArguments: [
			...setup.append.split(/\s+/).filter(Boolean),
			...(isDefault && setup.net !== ""
				? [`address=${setup.address || address}/16`]
				: []),
		],
		disks: disksOf(setup, urlOf(setup.disk), files),
		...(setup.net !== "" && { nets: [{ kind: "switch", name: setup.net }] }),
	} as Partial<BrowserLaunchOptions>;
}

function disksOf(
	{ blank, keep }: GuestSetup,
	url: string | undefined,
	files: OwnFiles,
): NonNullable<BrowserLaunchOptions["disks"]> {
	const linked = url ?? (blank > 0 ? blankDisk(blank) : undefined);
	const sources = [...(linked === undefined ? [] : [linked]), ...files.disks];
	return sources.map((source, index) => ({
		source,
		overlay: keep === "" || keptName(keep, index),
	}));
}

/** What the overlay of a guest's disk is called; the first has the plain name. */
export function keptName(keep: string, index: number): string {
	return index === 0 ? keep : `${keep}-${index + 1}`;
}
