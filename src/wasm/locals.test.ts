/** Life and death of locals. */
import { describe, expect, it } from "vitest";
import { ByteWriter } from "./byte-writer.ts";
import { localGet, op } from "./expression.ts";
import { FunctionBuilder } from "./function-builder.ts";
import { Locals } from "./locals.ts";

function declarationsOf(locals: Locals): number[] {
	const writer = new ByteWriter();
	locals.encodeDeclarations(writer);
	return [...writer.toBytes()];
}

describe("Locals", () => {
	it("numbers variables after the parameters", () => {
		const locals = new Locals(["i32", "f64"]);
		expect(locals.param(1)).toMatchObject({ index: 1, type: "f64" });
		expect(locals.allocate("i64")).toMatchObject({ index: 2, type: "i64" });
		expect(() => locals.param(2)).toThrow(/no parameter 2/);
	});

	it("uses a released slot again, for the same type only", () => {
		const locals = new Locals([]);
		const first = locals.allocate("i32");
		locals.release(first);
		expect(locals.allocate("i64").index).toBe(1);
		expect(locals.allocate("i32").index).toBe(0);
		expect(locals.variableCount).toBe(2);
	});

	it("releases at the end of a scope what the scope still holds", () => {
		const locals = new Locals([]);
		const outer = locals.allocate("i32");
		const mark = locals.mark();
		const early = locals.allocate("i32");
		locals.release(early);
		locals.allocate("i32");
		locals.allocate("i32");
		locals.releaseTo(mark);
		locals.check(outer);
		locals.allocate("i32");
		locals.allocate("i32");
		expect(locals.variableCount).toBe(3);
	});

	it("refuses a local after its release, even if the slot lives again", () => {
		const locals = new Locals([]);
		const stale = locals.allocate("i32");
		locals.release(stale);
		locals.allocate("i32");
		expect(() => locals.check(stale)).toThrow(/released/);
		expect(() => locals.release(stale)).toThrow(/released/);
	});

	it("never releases a parameter", () => {
		const locals = new Locals(["i32"]);
		expect(() => locals.release(locals.param(0))).toThrow(/parameter 0/);
	});

	it("declares neighbours of one type together", () => {
		const locals = new Locals(["i32"]);
		for (const type of ["i32", "i32", "i64", "i32"] as const) {
			locals.allocate(type);
		}
		expect(declarationsOf(locals)).toEqual([3, 2, 0x7f, 1, 0x7e, 1, 0x7f]);
	});
});

describe("FunctionBuilder's locals", () => {
	it("are refused in trees kept beyond their scope", () => {
		const builder = new FunctionBuilder([], ["i32"]);
		const mark = builder.mark();
		const stale = localGet(builder.local("i32"));
		builder.releaseTo(mark);
		expect(() => builder.return(op("i32.clz", stale))).toThrow(/released/);
	});

	it("are refused in another function", () => {
		const local = new FunctionBuilder(["i32"], []).param(0);
		const other = new FunctionBuilder(["i32"], ["i32"]);
		expect(() => other.return(localGet(local))).toThrow(/not of this function/);
	});
});
