/**
 * Guest physical memory as the devices, the boot loaders and the MMU's page
 * walk see it: little-endian, bounds-checked access by physical address.
 *
 * The bytes are a window of the machine's one `WebAssembly.Memory`; the CPU's
 * generated code reads the same bytes directly. Whoever writes here behind
 * the CPU's back (devices doing DMA, loaders) must tell the CPU that code may
 * have changed: that is what `onWrite` is for.
 *
 * @journey P:100 Guest memory
 */

/** Thrown when embedder code, never the guest, addresses outside RAM. */
export class GuestMemoryRangeError extends RangeError {
	constructor(address: number, lengthBytes: number, sizeBytes: number) {
		super(
			`guest physical range 0x${address.toString(16)}+${lengthBytes} is outside the 0x${sizeBytes.toString(16)} bytes of guest memory`,
		);
		this.name = "GuestMemoryRangeError";
	}
}

/** Called after [address, address+lengthBytes) was written from outside the CPU. */
export type WriteListener = (address: number, lengthBytes: number) => void;

/** RAM starting at physical address 0; addresses are unsigned `number`s. */
export class GuestMemory {
	/** All of RAM; index = physical address. Writes through it must be told of (`wrote`). */
	readonly bytes: Uint8Array;
	readonly sizeBytes: number;
	/** Set by the CPU so that writes by devices invalidate translated code. */
	onWrite: WriteListener = () => {};
	/**
	 * By page: 0 = nothing was ever written there, so it is zero. Set by the CPU,
	 * whose generated code marks pages too; without it every page counts.
	 */
	touched: Uint8Array | undefined;
	readonly #view: DataView;
	/** Views of pages, by the low bits of their numbers: a guest uses the same buffers again and again. */
	readonly #pageViews: Uint8Array[] = [];
	/** Where each of these pages is. */
	readonly #viewedAt = new Float64Array(PAGE_VIEWS).fill(-1);

	/** `base`: where RAM starts inside `buffer`. */
	constructor(buffer: ArrayBufferLike, base: number, sizeBytes: number) {
		this.bytes = new Uint8Array(buffer, base, sizeBytes);
		this.#view = new DataView(buffer, base, sizeBytes);
		this.sizeBytes = sizeBytes;
	}

	/** Whether the whole range lies in RAM: devices ask before trusting a guest address. */
	contains(address: number, lengthBytes: number): boolean {
		return (
			address >= 0 &&
			lengthBytes >= 0 &&
			address + lengthBytes <= this.sizeBytes
		);
	}

	readU8(address: number): number {
		this.#check(address, 1);
		return this.#view.getUint8(address);
	}

	readU16(address: number): number {
		this.#check(address, 2);
		return this.#view.getUint16(address, true);
	}

	readU32(address: number): number {
		this.#check(address, 4);
		return this.#view.getUint32(address, true);
	}

	readU64(address: number): bigint {
		this.#check(address, 8);
		return this.#view.getBigUint64(address, true);
	}

	writeU8(address: number, value: number): void {
		this.#check(address, 1);
		this.#view.setUint8(address, value);
		this.#wrote(address, 1);
	}

	writeU16(address: number, value: number): void {
		this.#check(address, 2);
		this.#view.setUint16(address, value, true);
		this.#wrote(address, 2);
	}

	writeU32(address: number, value: number): void {
		this.#check(address, 4);
		this.#view.setUint32(address, value, true);
		this.#wrote(address, 4);
	}

	writeU64(address: number, value: bigint): void {
		this.#check(address, 8);
		this.#view.setBigUint64(address, value, true);
		this.#wrote(address, 8);
	}

	/** A copy of the range. */
	read(address: number, lengthBytes: number): Uint8Array {
		this.#check(address, lengthBytes);
		return this.bytes.slice(address, address + lengthBytes);
	}

	/** The range itself, to look at; whoever writes to it must tell (`wrote`). */
	view(address: number, lengthBytes: number): Uint8Array {
		this.#check(address, lengthBytes);
		// Not by `%`, which takes long of what may be above 2^31.
		const slot = (address >>> PAGE_SHIFT) & (PAGE_VIEWS - 1);
		if (lengthBytes === PAGE_BYTES && this.#viewedAt[slot] === address) {
			return this.#pageViews[slot] as Uint8Array;
		}
		const made = this.bytes.subarray(address, address + lengthBytes);
		if (lengthBytes === PAGE_BYTES && address % PAGE_BYTES === 0) {
			this.#pageViews[slot] = made;
			this.#viewedAt[slot] = address;
		}
		return made;
	}

	write(address: number, source: Uint8Array): void {
		this.#check(address, source.length);
		this.bytes.set(source, address);
		this.#wrote(address, source.length);
	}

	/** For who has written to the range through `bytes`: what every other write does itself. */
	wrote(address: number, lengthBytes: number): void {
		this.#check(address, lengthBytes);
		this.#wrote(address, lengthBytes);
	}

	/** Likewise, of a `view`. */
	wroteTo(view: Uint8Array): void {
		this.wrote(view.byteOffset - this.bytes.byteOffset, view.length);
	}

	fill(address: number, value: number, lengthBytes: number): void {
		this.#check(address, lengthBytes);
		this.bytes.fill(value, address, address + lengthBytes);
		this.#wrote(address, lengthBytes);
	}

	/**
	 * Zeroes the range. Pages that nobody has written are left alone, and pages
	 * that are zero only read: touching them would make the system commit them.
	 */
	clear(address: number, lengthBytes: number): void {
		this.#check(address, lengthBytes);
		const end = address + lengthBytes;
		for (let at = address; at < end; ) {
			// Up to a boundary, so that pieces begin with whole words.
			const next = Math.min(end, at - (at % PAGE_BYTES) + PAGE_BYTES);
			const isFresh = this.touched?.[Math.floor(at / PAGE_BYTES)] === 0;
			if (!isFresh && !isZero(this.bytes.subarray(at, next))) {
				this.fill(at, 0, next - at);
			}
			at = next;
		}
	}

	#wrote(address: number, lengthBytes: number): void {
		const { touched } = this;
		if (touched !== undefined) {
			// Mostly one page: `fill` would take longer than the write.
			const end = address + lengthBytes;
			const first = Math.floor(address / PAGE_BYTES);
			for (let page = first; page * PAGE_BYTES < end; page++) touched[page] = 1;
		}
		this.onWrite(address, lengthBytes);
	}

	#check(address: number, lengthBytes: number): void {
		if (!this.contains(address, lengthBytes)) {
			throw new GuestMemoryRangeError(address, lengthBytes, this.sizeBytes);
		}
	}
}

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
/** Pages whose views are kept: as many as are under way at a time, and some. */
const PAGE_VIEWS = 1024;

/** A word at a time; what does not lie on words counts as if it were not. */
function isZero({ buffer, byteOffset, byteLength }: Uint8Array): boolean {
	if ((byteOffset | byteLength) % 4 !== 0) return false;
	const words = new Int32Array(buffer, byteOffset, byteLength / 4);
	for (let i = 0; i < words.length; i++) {
		if (words[i] !== 0) return false;
	}
	return true;
}
