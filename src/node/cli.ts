#!/usr/bin/env -S node --v8-pool-size=1
/**
 * The program `lguest`, as npm installs it: starts `main.ts`, and asks Node
 * before that to keep what V8 makes of it, which is half of what starting takes
 * the second time. (NODE_DISABLE_COMPILE_CACHE=1 forbids it, NODE_COMPILE_CACHE
 * names another folder; Node documents both.)
 *
 * @journey L:105 In the doorway
 */

import module from "node:module";

/** Since Node 22.8 and 22.10. */
const { enableCompileCache, flushCompileCache } = module as {
	enableCompileCache?: () => unknown;
	flushCompileCache?: () => void;
};
/** By then a guest has started, and most of the program has been compiled. */
const KEEP_AFTER_MS = 2_000;

enableCompileCache?.();
// Node itself keeps it at the end, which a signal may bring about in its own way.
setTimeout(() => flushCompileCache?.(), KEEP_AFTER_MS).unref();
await import("./main.ts");
