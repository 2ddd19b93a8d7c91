/**
 * Options that choose what kind of machine the guest gets: its clock and its
 * engine.
 *
 * @journey P:482 What kind of machine
 */

import { type ClockKind, ENGINE_KINDS, type EngineKind } from "../../index.ts";
import { oneOf, runOption } from "./option.ts";

export const clockOption = runOption<"clock", ClockKind | undefined>({
	key: "clock",
	flags: "--clock <kind>",
	group: "Machine:",
	summary: "wall (default), or virtual: in instructions",
	manual:
		"`wall`: the guest's time is yours. `virtual`: time is instructions, so that a run without input is the same every time.",
	initial: undefined,
	parse: oneOf("--clock", ["wall", "virtual"]),
});

export const engineOption = runOption<"engine", EngineKind | undefined>({
	key: "engine",
	flags: "--engine <name>",
	group: "Machine:",
	summary: "auto (default) compiles what is hot; cold, hot, compare",
	manual:
		"`auto` interprets and compiles what is hot. `cold` is the interpreter alone. `hot` compiles everything the first time it runs. `compare` does all that compiled code has done once more with the interpreter, and stops at the first difference. These two are for tests.",
	initial: undefined,
	parse: oneOf("--engine", ENGINE_KINDS),
});
