import { describe, expect, it } from "vitest";
import { KERNELS } from "../float/index.ts";
import { KernelModule } from "./kernel-module.ts";

const memory = new WebAssembly.Memory({ initial: 1 });

describe("the kernels of a machine", () => {
	it("are compiled when asked for, once", () => {
		const kernels = new KernelModule(memory, KERNELS);
		const first = kernels.functions(["f80_add"]).f80_add;
		expect(first).toBeTypeOf("function");
		expect(kernels.functions(["f80_add", "f80_from_f64"]).f80_add).toBe(first);
	});

	it("come with those that they call, and without the others", () => {
		const functions = new KernelModule(memory, KERNELS).functions(["f80_add"]);
		expect(Object.keys(functions).length).toBeLessThan(KERNELS.size / 2);
	});

	it("are those that there are", () => {
		const kernels = new KernelModule(memory, KERNELS);
		expect(() => kernels.functions(["f80_guess"])).toThrow("no kernel");
	});
});
