/**
 * The core's public face: what an embedder needs to put a guest together and
 * run it. The same names work in Node and in a browser; `lguest/node` adds what
 * only Node has.
 *
 * Relies on everything; the embedders rely on it alone.
 *
 * @journey L:100 The Launcher's toolbox
 */

export type {
	Compression,
	Decompressor,
	Decompressors,
} from "./boot/compression.ts";
export { identify, inspect, type KernelFacts } from "./boot/kernel-image.ts";
export {
	compileRegions,
	ENGINE_KINDS,
	type EngineKind,
	type RegionRequest,
	type RegionResponse,
	type RegionService,
} from "./cpu/index.ts";
export {
	AgentError,
	EngineDifference,
	ExecTimeoutError,
	GuestEndedError,
	GuestFailure,
	LguestError,
	StorageFullError,
	UsageError,
} from "./errors.ts";
export {
	type Assembly,
	assemble,
	type Connections,
	type FileRole,
	type GuestSurroundings,
	type OnProgress,
	type OpenDevices,
} from "./launch/assemble.ts";
export type {
	Channel,
	Platform,
	WorkerChannel,
} from "./launch/channel.ts";
export type {
	BlobSource,
	ByteSource,
	DiskDescription,
	GuestDescription,
	GuestOptions,
} from "./launch/description.ts";
export type { ExecOptions, ExecResult, SpawnOptions } from "./launch/exec.ts";
export {
	Guest,
	type GuestConsole,
	type GuestEnd,
	type GuestEvents,
} from "./launch/guest.ts";
export type { GuestProcess, ProcessEnd } from "./launch/guest-process.ts";
export { serveGuest } from "./launch/guest-server.ts";
export {
	type BackendDisk,
	type LaunchOptions,
	launchOn,
} from "./launch/launch.ts";
export type { ProgressEvent } from "./launch/protocol.ts";
export {
	type LguestEnding,
	LguestMachine,
	type LguestMachineOptions,
} from "./lguest/launcher/lguest-machine.ts";
export type { ClockKind } from "./machine/clock.ts";
export { type CrashReport, formatCode } from "./machine/crash-report.ts";
export {
	type EndReason,
	Machine,
	type MachineOptions,
} from "./machine/machine.ts";
export type { ConsoleBackend } from "./machine/serial-console.ts";
export { TRANSPORT_NAMES, type TransportName } from "./machine/sockets.ts";
export type {
	MachineStatistics,
	MemoryStatistics,
} from "./machine/statistics.ts";
export type {
	DeviceEvent,
	DeviceSurroundings,
	DiskOptions,
	NetworkOptions,
	ShareOptions,
	VirtioOptions,
	VsockOptions,
} from "./machine/virtio-slots.ts";
export { type ByteStore, MemoryStore } from "./storage/byte-store.ts";
export { commitQcow2 } from "./storage/qcow2/commit.ts";
export type {
	ClusterUnpacker,
	ClusterUnpackers,
} from "./storage/qcow2/compressed-clusters.ts";
export { createQcow2, type Qcow2Creation } from "./storage/qcow2/create.ts";
export {
	type OwnRange,
	Qcow2Disk,
	type Qcow2Options,
	readQcow2Header,
} from "./storage/qcow2/disk.ts";
export { isQcow2, type Qcow2Header } from "./storage/qcow2/header.ts";
export { RawDisk } from "./storage/raw-disk.ts";
export type {
	BlockBackend,
	Completion,
	ConsolePortBackend,
	ConsoleSize,
	EntropySource,
	NetBackend,
	VsockBackend,
	VsockConnection,
	VsockPort,
	VsockReceiver,
} from "./virtio/backends.ts";
export { featureSet } from "./virtio/constants.ts";
export type { DescriptorChain } from "./virtio/descriptor-chain.ts";
export type { DeviceModel, DevicePort } from "./virtio/device-model.ts";
export { Block } from "./virtio/devices/block.ts";
export type { ConsolePortOptions } from "./virtio/devices/console.ts";
export { Entropy } from "./virtio/devices/entropy.ts";
export { Net } from "./virtio/devices/net.ts";
export {
	readNetHeader,
	SHORT_HEADER_BYTES as NET_SHORT_HEADER_BYTES,
	writeNetHeader,
} from "./virtio/devices/net-header.ts";
export {
	type ExtendedAttributes,
	type FileAttributes,
	type FileChanges,
	type FileNode,
	type FileSystemBackend,
	FileSystemError,
	type FileSystemStatistics,
	type OpenFile,
	type OpenHow,
} from "./virtio/file-system.ts";
export type { FrameOffload, FrameSegments } from "./virtio/frame-offload.ts";
export { LoneHost } from "./virtio/lone-host.ts";
export {
	BALLOON_PAGE_BYTES,
	type BalloonState,
	type BalloonStatistics,
	MemoryBalloon,
	type MemoryBalloonOptions,
} from "./virtio/memory-balloon.ts";
export { MemoryDisk, OverlayDisk } from "./virtio/memory-disk.ts";
export { MemoryFiles, type MemoryFilesOptions } from "./virtio/memory-files.ts";
export { NetSwitch, type SwitchPort } from "./virtio/net-switch.ts";
export type { Virtqueue } from "./virtio/virtqueue.ts";
export { VsockHub, type VsockStream } from "./virtio/vsock-hub.ts";
