/**
 * A small writer of ACPI Machine Language: enough to describe devices and
 * their resources. Each function gives the bytes of one AML object; objects
 * nest by putting bytes into bytes, as in the language itself.
 *
 * Relies on nothing; `acpi-dsdt.ts` writes the machine's description with it.
 * Encodings from the ACPI specification 6.5, "ACPI Machine Language (AML)
 * Specification" and "Resource Data Types for ACPI".
 *
 * @journey P:350 Words the guest's interpreter understands
 */

/** Encoded AML. */
export type Aml = readonly number[];

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const QWORD_PREFIX = 0x0e;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const DUAL_NAME_PREFIX = 0x2e;
const MULTI_NAME_PREFIX = 0x2f;
const METHOD_OP = 0x14;
const ARG0_OP = 0x68;
const STORE_OP = 0x70;
const IF_OP = 0xa0;
const RETURN_OP = 0xa4;
const EXT_OP_PREFIX = 0x5b;
const DEVICE_OP = 0x82;

/** `value` in `count` bytes, low byte first. */
export function littleEndian(value: number, count: number): number[] {
	const bytes: number[] = [];
	for (let rest = value, i = 0; i < count; i++) {
		bytes.push(rest % 0x100);
		rest = Math.floor(rest / 0x100);
	}
	return bytes;
}

/** An integer in its shortest form. */
export function amlInteger(value: number): Aml {
	if (value === 0) return [ZERO_OP];
	if (value === 1) return [ONE_OP];
	if (value < 2 ** 8) return [BYTE_PREFIX, value];
	if (value < 2 ** 16) return [WORD_PREFIX, ...littleEndian(value, 2)];
	if (value < 2 ** 32) return [DWORD_PREFIX, ...littleEndian(value, 4)];
	return [QWORD_PREFIX, ...littleEndian(value, 8)];
}

/** An ASCII string. */
export function amlString(text: string): Aml {
	return [STRING_PREFIX, ...ascii(text), 0];
}

/**
 * A PnP identifier such as "PNP0501" as the integer `EisaId` makes: three
 * letters of five bits and four hex digits, the whole byte-swapped.
 */
export function amlEisaId(id: string): Aml {
	const [a = 0, b = 0, c = 0] = ascii(id).map((letter) => letter - 0x40);
	const vendor = (a << 10) | (b << 5) | c;
	const product = Number.parseInt(id.slice(3), 16);
	return [
		DWORD_PREFIX,
		vendor >> 8,
		vendor & 0xff,
		product >> 8,
		product & 0xff,
	];
}

/** `Name (path, value)`. */
export function amlName(path: string, value: Aml): Aml {
	return [NAME_OP, ...nameString(path), ...value];
}

/** `Scope (path) { ... }`. */
export function amlScope(path: string, ...body: Aml[]): Aml {
	return [SCOPE_OP, ...withLength([...nameString(path), ...body.flat()])];
}

/** `Device (name) { ... }`. */
export function amlDevice(name: string, ...body: Aml[]): Aml {
	const content = [...nameString(name), ...body.flat()];
	return [EXT_OP_PREFIX, DEVICE_OP, ...withLength(content)];
}

/** `Method (name, argumentCount) { ... }`. */
export function amlMethod(
	name: string,
	argumentCount: number,
	...body: Aml[]
): Aml {
	const content = [...nameString(name), argumentCount, ...body.flat()];
	return [METHOD_OP, ...withLength(content)];
}

/** `Store (Arg0, name)`. */
export function amlStoreArgument(name: string): Aml {
	return [STORE_OP, ARG0_OP, ...nameString(name)];
}

/** `If (name) { ... }`: the object by that name is not zero. */
export function amlIf(name: string, ...body: Aml[]): Aml {
	return [IF_OP, ...withLength([...nameString(name), ...body.flat()])];
}

/** `Return (value)`. */
export function amlReturn(value: Aml): Aml {
	return [RETURN_OP, ...value];
}

/** `Package () { ... }`, up to 255 elements. */
export function amlPackage(...elements: Aml[]): Aml {
	return [PACKAGE_OP, ...withLength([elements.length, ...elements.flat()])];
}

/** `ResourceTemplate () { ... }`: a buffer of descriptors with an end tag. */
export function amlResources(...descriptors: Aml[]): Aml {
	// A checksum of zero in the end tag means "not checked".
	const bytes = [...descriptors.flat(), 0x79, 0x00];
	return [BUFFER_OP, ...withLength([...amlInteger(bytes.length), ...bytes])];
}

/** `IO (Decode16, base, base, 1, length)`. */
export function amlIoPorts(base: number, length: number): Aml {
	const port = littleEndian(base, 2);
	return [0x47, 0x01, ...port, ...port, 0x01, length];
}

/** `IRQNoFlags () { irq }`: edge-triggered, active high, exclusive. */
export function amlIrq(irq: number): Aml {
	return [0x22, ...littleEndian(1 << irq, 2)];
}

/** `Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { irq }`. */
export function amlLevelInterrupt(irq: number): Aml {
	return [0x89, ...littleEndian(6, 2), 0x09, 1, ...littleEndian(irq, 4)];
}

/** `Memory32Fixed (ReadWrite, base, length)`. */
export function amlMemory32(base: number, length: number): Aml {
	return [
		0x86,
		...littleEndian(9, 2),
		0x01,
		...littleEndian(base, 4),
		...littleEndian(length, 4),
	];
}

/** Kinds of resource in an address space descriptor. */
const MEMORY_RANGE = 0;
const IO_RANGE = 1;
const BUS_NUMBER_RANGE = 2;
/** The range's ends are fixed, and it is passed on to devices behind. */
const FIXED_WINDOW = 0x0c;

/** `WordBusNumber (...)`: the buses behind a bridge. */
export function amlBusNumbers(first: number, last: number): Aml {
	return wordWindow(BUS_NUMBER_RANGE, 0, first, last);
}

/** `WordIO (...)`: ports that a bridge passes on. */
export function amlIoWindow(first: number, last: number): Aml {
	const wholeRange = 3;
	return wordWindow(IO_RANGE, wholeRange, first, last);
}

/** `DWordMemory (...)`: addresses that a bridge passes on, not cacheable. */
export function amlMemoryWindow(first: number, last: number): Aml {
	const readWrite = 1;
	const values = [0, first, last, 0, last - first + 1];
	return [
		0x87,
		...littleEndian(23, 2),
		...[MEMORY_RANGE, FIXED_WINDOW, readWrite],
		...values.flatMap((value) => littleEndian(value, 4)),
	];
}

/** Granularity, first, last, translation, length. */
function wordWindow(
	kind: number,
	flags: number,
	first: number,
	last: number,
): Aml {
	const values = [0, first, last, 0, last - first + 1];
	return [
		0x88,
		...littleEndian(13, 2),
		...[kind, FIXED_WINDOW, flags],
		...values.flatMap((value) => littleEndian(value, 2)),
	];
}

/**
 * PkgLength counts itself too, so its own size must be found first: one byte
 * holds up to 63; otherwise the first byte has four bits and a byte count.
 */
function withLength(content: readonly number[]): number[] {
	if (content.length + 1 < 0x40) return [content.length + 1, ...content];
	let following = 1;
	while (content.length + 1 + following >= 2 ** (4 + 8 * following)) {
		following++;
	}
	const total = content.length + 1 + following;
	return [
		(following << 6) | (total & 0xf),
		...littleEndian(total >>> 4, following),
		...content,
	];
}

/** "\\_SB.COM1" → root prefix and name segments, each padded with "_" to four. */
function nameString(path: string): number[] {
	const rooted = path.startsWith("\\");
	const segments = (rooted ? path.slice(1) : path).split(".");
	const bytes = segments.flatMap((segment) => ascii(segment.padEnd(4, "_")));
	const prefix =
		segments.length === 1
			? []
			: segments.length === 2
				? [DUAL_NAME_PREFIX]
				: [MULTI_NAME_PREFIX, segments.length];
	return [...(rooted ? ascii("\\") : []), ...prefix, ...bytes];
}

function ascii(text: string): number[] {
	return Array.from(text, (character) => character.charCodeAt(0));
}
