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

/** Since Node 22.8. */
const { enableCompileCache } = module as { enableCompileCache?: () => unknown };
enableCompileCache?.();
await import("./main.ts");
