/**
 * The MC146818's way of writing a time of day: seven byte registers and the
 * PC's century byte, in BCD or binary, 24 or 12 hours.
 *
 * Relies on nothing; `rtc-cmos.ts` keeps seconds since 1970 and comes here when
 * the guest looks.
 *
 * @journey P:331 A date in bytes
 */

/** How register B says the bytes are to be read. */
export interface RtcFormat {
	readonly binary: boolean;
	readonly hours24: boolean;
}

/** Calendar values as plain numbers; `century` is 19 or 20, `weekday` 1 = Sunday. */
export interface RtcFields {
	seconds: number;
	minutes: number;
	hours: number;
	weekday: number;
	day: number;
	month: number;
	year: number;
	century: number;
}

/** Register number of each field (data sheet, "Address Map"); the century is the PC's. */
export const RTC_FIELD_REGISTERS: ReadonlyMap<number, keyof RtcFields> =
	new Map<number, keyof RtcFields>([
		[0x00, "seconds"],
		[0x02, "minutes"],
		[0x04, "hours"],
		[0x06, "weekday"],
		[0x07, "day"],
		[0x08, "month"],
		[0x09, "year"],
		[0x32, "century"],
	]);

/** PM is bit 7 of the hours in 12-hour mode. */
const PM = 0x80;

/** Whole seconds since 1970, UTC, as the calendar shows them. */
export function fieldsOf(epochSeconds: number): RtcFields {
	const date = new Date(epochSeconds * 1000);
	const year = date.getUTCFullYear();
	return {
		seconds: date.getUTCSeconds(),
		minutes: date.getUTCMinutes(),
		hours: date.getUTCHours(),
		weekday: date.getUTCDay() + 1,
		day: date.getUTCDate(),
		month: date.getUTCMonth() + 1,
		year: year % 100,
		century: Math.floor(year / 100),
	};
}

/**
 * The reverse. Fields out of their range carry over, as `Date.UTC` does: a
 * guest that writes the 31st of February gets some time, not an error.
 */
export function epochSecondsOf(fields: RtcFields): number {
	const date = new Date(0);
	date.setUTCFullYear(
		fields.century * 100 + fields.year,
		fields.month - 1,
		fields.day,
	);
	date.setUTCHours(fields.hours, fields.minutes, fields.seconds);
	return date.getTime() / 1000;
}

/** A field's value as its register shows it. */
export function encodeField(
	field: keyof RtcFields,
	value: number,
	format: RtcFormat,
): number {
	if (field !== "hours" || format.hours24) return encode(value, format);
	const hours = value % 12 === 0 ? 12 : value % 12;
	return encode(hours, format) | (value >= 12 ? PM : 0);
}

/** What a register's byte means. */
export function decodeField(
	field: keyof RtcFields,
	byte: number,
	format: RtcFormat,
): number {
	if (field !== "hours" || format.hours24) return decode(byte, format);
	const hours = decode(byte & ~PM, format) % 12;
	return byte & PM ? hours + 12 : hours;
}

function encode(value: number, format: RtcFormat): number {
	if (format.binary) return value & 0xff;
	return (Math.floor(value / 10) << 4) | (value % 10);
}

function decode(byte: number, format: RtcFormat): number {
	return format.binary ? byte : (byte >> 4) * 10 + (byte & 0xf);
}
