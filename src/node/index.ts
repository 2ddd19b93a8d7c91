/**
 * The public face of `lguest/node`: the core, and what Node adds to it.
 *
 * Relies on the core's face; Node programs that embed lguest rely on it.
 *
 * @journey L:102 The toolbox, for Node
 */

export * from "../index.ts";
export { nodeDecompressors } from "./decompress.ts";
export { type DefaultGuest, defaultGuest } from "./default-guest.ts";
export { DirectoryShare } from "./directory-share.ts";
export { launch, type NodeLaunchOptions } from "./launch.ts";
export { StandardStreams } from "./standard-streams.ts";
export { VsockSockets } from "./vsock-sockets.ts";
