/**
 * Tests of this folder once more, with the code of every branch target
 * compiled when it is first reached: those in which a region could hide what
 * happens outside of it.
 */
import { describe } from "vitest";
import { Guest } from "../support/guest.ts";

Guest.engine = "hot";

describe("through the hot engine", async () => {
	await import("./debug.test.ts");
	await import("./interrupts.test.ts");
	await import("./modified-code.test.ts");
	await import("./paging.test.ts");
	await import("./tasks.test.ts");
});
