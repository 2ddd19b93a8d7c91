/**
 * The public face of `lguest/testing`: for those who write devices of their own.
 * A driver to play with, drivers that misbehave, and what is asked of every
 * device. It knows no test runner.
 *
 * Relies on the files beside it; authors of devices rely on it.
 *
 * @journey D:380 A kit for authors
 */

export { VirtioDevice } from "../virtio/device.ts";
export { type DeviceCase, deviceCases } from "./device-cases.ts";
export { misbehave } from "./hostile-driver.ts";
export {
	DirectSide,
	type DriverSide,
	MockDriver,
	type MockDriverOptions,
	type MockQueue,
	type Piece,
	room,
	TestMemory,
	type UsedBuffer,
} from "./mock-driver.ts";
export { type Random, randomFrom } from "./random.ts";
