/**
 * Code that was generated when the program was built: the cold engine's modules
 * with handlers for all usual forms. To generate it takes as long as a small
 * guest's kernel takes to boot, half of it because the generator's own code is
 * still cold. Where there is none, as in the sources, or none for this CPU, the
 * engine generates what it needs when it needs it.
 *
 * Relies on `prepared-text.ts`, which builds replace.
 *
 * @journey E:483 Prepared code
 */

import { type EngineTraits, traitsText } from "./engine-modules.ts";
import { PREPARED_TEXT } from "./prepared-text.ts";

type Module = "shortWays" | "loop" | "kernels" | "handlers";

/** As it stands in a program: modules in Base64. */
export interface PreparedText extends Readonly<Record<Module, string>> {
	/** The CPU that it is for; see `traitsText`. */
	readonly traits: string;
	/** Keys of the forms that have handlers, in the order of their numbers; see `formKey`. */
	readonly formKeys: readonly number[];
}

/** As the engine wants it. */
export interface PreparedCode
	extends Readonly<Record<Module, Uint8Array<ArrayBuffer>>> {
	readonly formKeys: readonly number[];
}

/** What this program was built with, if it is for such a CPU. */
export function preparedCode(
	traits: EngineTraits,
	features: ReadonlySet<string>,
): PreparedCode | undefined {
	const text = PREPARED_TEXT;
	if (text?.traits !== traitsText(traits, features)) return undefined;
	return {
		formKeys: text.formKeys,
		shortWays: bytesOf(text.shortWays),
		loop: bytesOf(text.loop),
		kernels: bytesOf(text.kernels),
		handlers: bytesOf(text.handlers),
	};
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
	const binary = atob(base64);
	const bytes = new Uint8Array(binary.length);
	for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
	return bytes;
}
