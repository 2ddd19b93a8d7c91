/**
 * Runs before all tests: those of the command line run it as it is installed,
 * so it must be as new as the sources.
 */
import { bundle } from "../../scripts/bundle.ts";
import { programIsFresh } from "../../scripts/sources.ts";

export async function setup(): Promise<void> {
	if (!programIsFresh()) await bundle();
}
