/**
 * Port and MMIO dispatch: devices claim ranges, the CPU's bus face asks here.
 * Unclaimed reads float high (all ones), unclaimed writes vanish, as on a PC
 * whose bus nobody answers.
 *
 * Relies on nothing; every chipset device and the machine rely on it.
 *
 * @journey P:300 The bus
 */

/** Access sizes in bytes on the port and MMIO buses. */
export type AccessSize = 1 | 2 | 4;

/** What a device does with a port or MMIO access; `offset` is relative to its range. */
export interface BusDevice {
	/** The value read, zero-extended to `size` bytes. */
	read(offset: number, size: AccessSize): number;
	write(offset: number, size: AccessSize, value: number): void;
}

/** A level-triggered or edge interrupt input of an interrupt controller. */
export interface InterruptLine {
	/** Drive the line high (`true`) or low. */
	set(level: boolean): void;
}

/** Device time: nanoseconds that only ever grow; injected by the machine. */
export interface DeviceClock {
	/** Nanoseconds since the machine started. */
	nowNs(): number;
	/**
	 * Ask for `callback` at `deadlineNs` or soon after. One pending request for
	 * each `owner`; a new one replaces it, `undefined` cancels it.
	 */
	schedule(
		owner: object,
		deadlineNs: number | undefined,
		callback?: () => void,
	): void;
}

/** What an unclaimed read of `size` bytes returns: nobody pulls the lines low. */
export function floatingBus(size: AccessSize): number {
	return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

/** One device's claim on a bus. */
export interface BusRange {
	readonly base: number;
	readonly length: number;
	readonly device: BusDevice;
	/** The widest access the device answers at once; wider ones reach it in parts. */
	readonly maxSize: AccessSize;
}

/**
 * A bus behind the bus, whose devices move while the machine runs. It is asked
 * for addresses that nobody has claimed for good.
 */
export interface BusExtension {
	find(address: number): BusRange | undefined;
}

/** Two devices were wired to the same addresses: a mistake in the machine's assembly. */
export class BusConflictError extends Error {
	constructor(bus: string, base: number, length: number, reason: string) {
		super(`${bus} 0x${base.toString(16)}+${length}: ${reason}`);
		this.name = "BusConflictError";
	}
}

const PORT_COUNT = 0x10000;

/**
 * The I/O port space. A claim is one byte-wide table entry for each port, so a
 * look-up costs one load however many devices there are.
 */
export class PortBus {
	/** Port → 1 + index into `#ranges`; 0 = nobody. */
	readonly #owner = new Uint8Array(PORT_COUNT);
	readonly #ranges: BusRange[] = [];
	extension: BusExtension | undefined;

	/**
	 * `maxSize`: the widest access the device wants to see; the ISA default is a
	 * byte, and a wider access is then split as the ISA bus controller does.
	 */
	register(
		base: number,
		length: number,
		device: BusDevice,
		maxSize: AccessSize = 1,
	): void {
		if (base < 0 || length < 1 || base + length > PORT_COUNT) {
			throw new BusConflictError("ports", base, length, "outside port space");
		}
		if (this.#owner.subarray(base, base + length).some((o) => o !== 0)) {
			throw new BusConflictError("ports", base, length, "already claimed");
		}
		if (this.#ranges.length === 0xff) {
			throw new BusConflictError("ports", base, length, "too many devices");
		}
		this.#ranges.push({ base, length, device, maxSize });
		this.#owner.fill(this.#ranges.length, base, base + length);
	}

	/** Ports wrap at 64 KiB, as the CPU's 16 address lines do. */
	read(port: number, size: AccessSize): number {
		const range = this.#find(port);
		if (range === undefined && size === 1) return 0xff;
		if (range !== undefined && takesWhole(range, port, size)) {
			const value = range.device.read(port - range.base, size);
			return (value & floatingBus(size)) >>> 0;
		}
		const half = size === 4 ? 2 : 1;
		const low = this.read(port, half);
		const high = this.read((port + half) & 0xffff, half);
		return (low | (high << (half * 8))) >>> 0;
	}

	/** Splits as `read` does, low half first. */
	write(port: number, size: AccessSize, value: number): void {
		const range = this.#find(port);
		if (range === undefined && size === 1) return;
		if (range !== undefined && takesWhole(range, port, size)) {
			const masked = (value & floatingBus(size)) >>> 0;
			range.device.write(port - range.base, size, masked);
			return;
		}
		const half = size === 4 ? 2 : 1;
		this.write(port, half, value);
		this.write((port + half) & 0xffff, half, value >>> (half * 8));
	}

	#find(port: number): BusRange | undefined {
		const owner = this.#owner[port] ?? 0;
		return owner === 0 ? this.extension?.find(port) : this.#ranges[owner - 1];
	}
}

/** Whether one call of the device covers the access. */
function takesWhole(
	range: BusRange,
	address: number,
	size: AccessSize,
): boolean {
	if (size === 1) return true;
	return size <= range.maxSize && address - range.base + size <= range.length;
}

/** Physical addresses reach 52 bits: exact in a `number`, never in an i32. */
const PHYSICAL_LIMIT = 2 ** 52;

/**
 * Memory-mapped registers by physical address. Ranges are kept sorted and the
 * last one hit is tried first: a driver hammers one device at a time.
 */
export class MmioBus {
	readonly #ranges: BusRange[] = [];
	#lastHit: BusRange | undefined;
	extension: BusExtension | undefined;

	/** `maxSize` as for ports, except that memory-mapped devices expect dwords. */
	register(
		base: number,
		length: number,
		device: BusDevice,
		maxSize: AccessSize = 4,
	): void {
		if (base < 0 || length < 1 || base + length > PHYSICAL_LIMIT) {
			throw new BusConflictError("mmio", base, length, "outside 52 bits");
		}
		const after = this.#firstEndingAfter(base);
		const next = this.#ranges[after];
		if (next !== undefined && next.base < base + length) {
			throw new BusConflictError("mmio", base, length, "already claimed");
		}
		this.#ranges.splice(after, 0, { base, length, device, maxSize });
	}

	/** Whether some device answers at this address. */
	claims(address: number): boolean {
		return this.#find(address) !== undefined;
	}

	/** Unclaimed parts of the access read as ones. */
	read(address: number, size: AccessSize): number {
		const range = this.#find(address);
		if (range === undefined && size === 1) return 0xff;
		if (range !== undefined && takesWhole(range, address, size)) {
			const value = range.device.read(address - range.base, size);
			return (value & floatingBus(size)) >>> 0;
		}
		const half = size === 4 ? 2 : 1;
		const low = this.read(address, half);
		const high = this.read(address + half, half);
		return (low | (high << (half * 8))) >>> 0;
	}

	/** Splits as `read` does, low half first. */
	write(address: number, size: AccessSize, value: number): void {
		const range = this.#find(address);
		if (range === undefined && size === 1) return;
		if (range !== undefined && takesWhole(range, address, size)) {
			const masked = (value & floatingBus(size)) >>> 0;
			range.device.write(address - range.base, size, masked);
			return;
		}
		const half = size === 4 ? 2 : 1;
		this.write(address, half, value);
		this.write(address + half, half, value >>> (half * 8));
	}

	#find(address: number): BusRange | undefined {
		const last = this.#lastHit;
		if (last !== undefined && within(last, address)) return last;
		const range = this.#ranges[this.#firstEndingAfter(address)];
		if (range === undefined || !within(range, address)) {
			return this.extension?.find(address);
		}
		this.#lastHit = range;
		return range;
	}

	/** Index of the first range whose end lies above `address` (binary search). */
	#firstEndingAfter(address: number): number {
		let low = 0;
		let high = this.#ranges.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			const range = this.#ranges[middle];
			if (range !== undefined && range.base + range.length <= address) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low;
	}
}

function within(range: BusRange, address: number): boolean {
	return address >= range.base && address < range.base + range.length;
}
