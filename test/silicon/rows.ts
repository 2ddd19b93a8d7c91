/**
 * The opcode table as the silicon harness sees it: which rows can be asked of
 * a user-mode CPU, which cannot and why, and a name for each row that
 * survives renumbering, so that kept cases stay readable.
 *
 * Relies on the opcode table; generator, analysis and report rely on it.
 *
 * @journey M:616 Which rows silicon can answer for
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import type { Mode } from "./case.ts";

/** Stable, unique name: map, selector in the table's notation, mnemonic; no blanks, commas or colons. */
export function rowKey(row: OpcodeRow): string {
	let key = row.map === "1" ? "" : row.map.toUpperCase();
	if (row.prefix !== undefined) key += `.${row.prefix}.`;
	key += row.opcode.toString(16).toUpperCase().padStart(2, "0");
	if (row.extension !== undefined) key += `/${row.extension}`;
	if (row.mod !== undefined) key += row.mod === "memory" ? "/mem" : "/reg";
	if (row.rm !== undefined) key += `/rm${row.rm}`;
	if (row.rexW !== undefined) key += row.rexW ? "/w1" : "/w0";
	if (row.rexB !== undefined) key += "/b1";
	return `${key}~${row.mnemonic}`;
}

const rowsByKey = new Map(OPCODE_TABLE.map((row) => [rowKey(row), row]));

/** The row with that key; throws if the table has none. */
export function rowOfKey(key: string): OpcodeRow {
	const row = rowsByKey.get(key);
	if (row === undefined) throw new Error(`no row ${key} in the opcode table`);
	return row;
}

/** The row with that id. */
export function rowOfId(id: number): OpcodeRow {
	return OPCODE_TABLE[id] as OpcodeRow;
}

const EMULATED =
	"UMIP traps it and Linux answers with made-up values, so the CPU is never seen";
const KERNEL = "it enters the kernel";

/** Mnemonics never generated, with the reason. */
const EXCLUDED: Readonly<Record<string, string>> = {
	SGDT: EMULATED,
	SIDT: EMULATED,
	SLDT: EMULATED,
	STR: EMULATED,
	SMSW: EMULATED,
	SYSCALL: KERNEL,
	SYSENTER: KERNEL,
	SYSEXIT: "AMD: #UD in long mode whatever the privilege",
	VMCALL: "the hypervisor below answers",
	VMMCALL: "the hypervisor below answers",
	MONITOR: "whether user mode may use it is a setting of the kernel",
	MWAIT: "whether user mode may use it is a setting of the kernel",
	RDPMC: "whether user mode may use it is a setting of the kernel",
};

/** System rows whose work user mode can watch; all other system rows only fault there. */
const WATCHABLE: ReadonlySet<string> = new Set([
	"LAR",
	"LSL",
	"VERR",
	"VERW",
	"INT",
]);

/** Bytes that mean VEX, EVEX in 64-bit mode: not "invalid" on a CPU with AVX. */
const REUSED_IN_64: ReadonlySet<number> = new Set([0x62, 0xc4, 0xc5]);

/**
 * Why a row is not run in a mode, or undefined if it is. Rows invalid in
 * 64-bit mode are run there too, for their #UD.
 */
export function whyExcluded(row: OpcodeRow, mode: Mode): string | undefined {
	if (mode === 32 && row.mnemonic === "SYSRET")
		return "AMD: #GP(0) in user mode, Intel: #UD outside 64-bit mode";
	if (mode === 32 && row.only64) return "only in 64-bit mode";
	if (mode === 32 && (row.rexW === true || row.rexB === true))
		return "needs REX";
	if (mode === 64 && row.invalidIn64 && row.map === "1") {
		if (REUSED_IN_64.has(row.opcode)) return "VEX or EVEX in 64-bit mode";
		if ((row.opcode & 0xf0) === 0x40) return "REX in 64-bit mode";
		if (row.mnemonic === "ARPL") return "MOVSXD in 64-bit mode";
	}
	return EXCLUDED[row.mnemonic];
}

/** True if a case with this row says more than "it faults in user mode". */
export function isObservable(row: OpcodeRow, mode: Mode): boolean {
	if (mode === 64 && row.invalidIn64) return false;
	return row.level === "user" || WATCHABLE.has(row.mnemonic);
}

/** Rows to generate in a mode: `pattern` is a mnemonic or key with `*` as wildcard, several joined by commas. */
export function eligibleRows(mode: Mode, pattern = "*"): OpcodeRow[] {
	const matchers = pattern
		.split(",")
		.map(
			(glob) =>
				new RegExp(
					`^${glob.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")}$`,
					"i",
				),
		);
	return OPCODE_TABLE.filter(
		(row) =>
			whyExcluded(row, mode) === undefined &&
			matchers.some(
				(matcher) => matcher.test(row.mnemonic) || matcher.test(rowKey(row)),
			),
	);
}

const candidates = new Map<string, OpcodeRow[]>();
for (const row of OPCODE_TABLE) {
	const opcodes = row.operands.some((o) => o.startsWith("Z"))
		? Array.from({ length: 8 }, (_, i) => (row.opcode & ~7) + i)
		: [row.opcode];
	for (const opcode of opcodes) {
		const key = `${row.map} ${opcode}`;
		const list = candidates.get(key);
		if (list === undefined) candidates.set(key, [row]);
		else list.push(row);
	}
}

/** What of an encoding selects its row. */
export interface Selector {
	readonly opcode: number;
	/** 66, F3, F2 present as prefixes. */
	readonly has66: boolean;
	readonly hasF3: boolean;
	readonly hasF2: boolean;
	readonly rexW: boolean;
	readonly rexB: boolean;
	/** -1 without ModR/M. */
	readonly modrm: number;
	readonly mode: Mode;
}

function prefixFits(row: OpcodeRow, s: Selector): boolean {
	if (row.prefix === undefined) return true;
	if (row.prefix === "f3") return s.hasF3;
	if (row.prefix === "f2") return s.hasF2;
	if (s.hasF3 || s.hasF2) return false;
	return row.prefix === "66" ? s.has66 : !s.has66;
}

function modrmFits(row: OpcodeRow, modrm: number): boolean {
	if (row.extension !== undefined && ((modrm >> 3) & 7) !== row.extension)
		return false;
	if (row.mod !== undefined && modrm >= 0xc0 !== (row.mod === "register"))
		return false;
	return row.rm === undefined || (modrm & 7) === row.rm;
}

/** The row the table's "first match wins" gives for an encoding. */
export function selectedRow(
	map: OpcodeRow["map"],
	s: Selector,
): OpcodeRow | undefined {
	return candidates.get(`${map} ${s.opcode}`)?.find((row) => {
		if (s.mode === 64 ? row.invalidIn64 && row.mnemonic === "ARPL" : row.only64)
			return false;
		if (row.rexW !== undefined && row.rexW !== s.rexW) return false;
		if (row.rexB === true && !s.rexB) return false;
		return prefixFits(row, s) && (s.modrm < 0 || modrmFits(row, s.modrm));
	});
}
