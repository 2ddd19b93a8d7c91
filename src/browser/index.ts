/**
 * The public face of `lguest/browser`: the core, and what a browser adds to it.
 *
 * Relies on the core's face; pages that embed lguest rely on it.
 *
 * @journey L:104 The toolbox, for pages
 */

export * from "../index.ts";
export { blankDisk } from "./blank-disk.ts";
export { BlobDisk } from "./blob-disk.ts";
export type { BrowserDevices, BrowserNet } from "./device-backends.ts";
export { FetchDisk } from "./fetch-disk.ts";
export {
	listKeptDisks,
	readKeptDisk,
	removeKeptDisk,
	writeKeptDisk,
} from "./kept-disks.ts";
export { launch } from "./launch.ts";
export type { BrowserLaunchOptions } from "./launch-in.ts";
export { BroadcastSwitch } from "./net/broadcast-switch.ts";
