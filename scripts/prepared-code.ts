/**
 * Generates the code that programs are built with (`src/cpu/engine/prepared-code.ts`),
 * and puts it in its place: as a plug-in for what bundles them, and in the package
 * for those who import single modules.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodedFeatures } from "../src/cpu/decoded-features.ts";
import {
	EngineModules,
	HOT_ARRIVALS,
	traitsText,
} from "../src/cpu/engine/engine-modules.ts";
import { addressingOf, formKey } from "../src/cpu/engine/form.ts";
import { inlineForms } from "../src/cpu/engine/inline-forms.ts";
import { kernelModule, kernelsOf } from "../src/cpu/engine/kernel-module.ts";
import type { PreparedText } from "../src/cpu/engine/prepared-code.ts";
import { PSEUDO_HANDLERS } from "../src/cpu/engine/record.ts";
import { usualForms } from "../src/cpu/engine/usual-forms.ts";
import { KERNELS } from "../src/cpu/float/index.ts";
import { semanticsOf } from "../src/cpu/semantics/index.ts";
import { CpuIdentity } from "../src/cpu/system/cpuid.ts";
import { isMain, projectRoot } from "./sources.ts";

/** For the CPU that guests usually get. */
export function prepareCode(): PreparedText {
	const hotArrivals = HOT_ARRIVALS.auto;
	const traits = { isHot: true, hotArrivals, isJournaled: false };
	const features = decodedFeatures(new CpuIdentity());
	const modules = new EngineModules({ semanticsOf, kernels: KERNELS }, traits);
	const inline = inlineForms(features);
	const forms = [...inline, ...usualForms(features)].map(
		({ instruction, mode }, index) => ({
			...{ handler: PSEUDO_HANDLERS + index, example: instruction, mode },
			addressing: addressingOf(instruction, mode),
		}),
	);
	const handlers = modules.handlers(forms);
	const wanted = kernelsOf(new WebAssembly.Module(handlers));
	const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
	return {
		traits: traitsText(traits, features),
		formKeys: forms.map(({ example, mode }) => formKey(example, mode)),
		shortWays: text(modules.shortWays()),
		loop: text(modules.loop(forms.slice(0, inline.length))),
		kernels: text(kernelModule(KERNELS, wanted)),
		handlers: text(handlers),
	};
}

function moduleText(): string {
	return `export const PREPARED_TEXT = ${JSON.stringify(prepareCode())};\n`;
}

/** For Rolldown and Vite. */
export const preparedCodePlugin = {
	name: "lguest-prepared-code",
	load: (id: string) =>
		/[/\\]src[/\\]cpu[/\\]engine[/\\]prepared-text\.ts$/.test(id)
			? moduleText()
			: undefined,
};

/** What the compiler has made of the file, which embedders import. */
const COMPILED = join(projectRoot, "dist/cpu/engine/prepared-text.js");
const NOTHING = "export const PREPARED_TEXT = undefined;\n";

/**
 * `--put` is for a package that is about to be packed, `--take-back` for
 * afterwards: beside sources that change, prepared code would soon be wrong.
 */
function main([how]: readonly string[]): void {
	if (how === "--put") writeFileSync(COMPILED, moduleText());
	else if (how === "--take-back") writeFileSync(COMPILED, NOTHING);
	else throw new Error("usage: prepared-code.ts --put|--take-back");
}

if (isMain(import.meta.url)) main(process.argv.slice(2));
