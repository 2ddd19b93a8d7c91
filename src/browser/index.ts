/**
 * The public face of `lguest/browser`: the core, and what a browser adds to it.
 *
 * Relies on the core's face; pages that embed lguest rely on it.
 *
 * @journey L:104 The toolbox, for pages
 */

export * from "../index.ts";
export { BlobDisk } from "./blob-disk.ts";
export { FetchDisk } from "./fetch-disk.ts";
export { launch } from "./launch.ts";
