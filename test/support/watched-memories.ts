/**
 * Whether a CPU is made: its memory is the first thing that is made of it. Tests
 * of what is refused before that rely on it.
 */

import { afterAll, beforeAll, beforeEach, type Mock, vi } from "vitest";

/** Called for each WebAssembly memory while the file's tests run; forgotten before each. */
export function watchMemories(): Mock {
	const { Memory } = WebAssembly;
	const made = vi.fn();
	beforeAll(() => {
		WebAssembly.Memory = new Proxy(Memory, {
			construct: (target, size) => {
				made();
				return Reflect.construct(target, size);
			},
		});
	});
	afterAll(() => {
		WebAssembly.Memory = Memory;
	});
	beforeEach(() => {
		made.mockClear();
	});
	return made;
}
