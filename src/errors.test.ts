import { describe, expect, it } from "vitest";
import { GuestFailure, LguestError, UsageError } from "./errors.ts";

describe("error classes", () => {
	it("give the exit statuses the command line promises", () => {
		expect(new LguestError("x").exitStatus).toBe(1);
		expect(new UsageError("x").exitStatus).toBe(2);
		expect(new GuestFailure("x").exitStatus).toBe(3);
	});

	it("carry what to do next beside what happened, and the cause", () => {
		const cause = new Error("EACCES");
		const error = new UsageError("cannot read vmlinuz", {
			hint: "Check its permissions.",
			cause,
		});
		expect(error.message).toBe("cannot read vmlinuz");
		expect(error.hint).toBe("Check its permissions.");
		expect(error.cause).toBe(cause);
	});

	it("can be told apart by class and by name", () => {
		const error: unknown = new GuestFailure("triple fault");
		expect(error).toBeInstanceOf(LguestError);
		expect(error).not.toBeInstanceOf(UsageError);
		expect(String(error)).toBe("GuestFailure: triple fault");
	});
});
