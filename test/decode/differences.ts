/**
 * Where objdump and this decoder are known to disagree, one rule per reason.
 * A disagreement that no rule explains fails the oracle test.
 */

import type {
	DecodeFailure,
	Instruction,
	SizeAttribute,
} from "../../src/cpu/decode/instruction.ts";
import type { Line } from "./objdump.ts";

/** One instance on which the two were asked. */
export interface Comparison {
	readonly bytes: Uint8Array;
	readonly codeSize: SizeAttribute;
	readonly ours: Instruction | DecodeFailure;
	readonly theirs: Line;
	readonly theirLengthBytes: number;
}

interface Difference {
	readonly reason: string;
	explains(comparison: Comparison): boolean;
}

const isBad = ({ theirs }: Comparison) => theirs.text.includes("(bad");
const weRefuse = ({ ours }: Comparison) => ours === "undefined";
const ourMnemonic = ({ ours }: Comparison) =>
	typeof ours === "string" ? "" : ours.row.mnemonic;

/** Instruction sets that the table leaves out (see opcode-table.ts), by objdump's names. */
const LEFT_OUT = new RegExp(
	[
		"^v", // VEX, EVEX, and VMX beyond VMCALL
		"^(aes|sha|gf2p8|pclmul)",
		"^(k(add|and|or|xor|xnor|not|mov|shift|test|unpck)|adox|adcx)",
		"^(femms|pf|pi2f|pswapd|pfpnacc|pavgusb|pmulhrw$)", // 3DNow!
		"^(skinit|clgi|stgi|invlpga|invept|invvpid|invpcid|getsec)",
		"^(xsave|xrstor|xgetbv|xsetbv|xbegin|xend|xabort|xtest|x(sus|res)ldtrk)",
		"^(movntss|movntsd|extrq|insertq)", // SSE4a
		"^(rdseed|rdpid|rdpkru|wrpkru|rdpru|ptwrite|(rd|wr)(fs|gs)base)",
		"^(clzero|clwb|clflushopt|cldemote|mcommit|monitorx|mwaitx|wbnoinvd)",
		"^(umonitor|umwait|tpause|movdir|enqcmd|serialize|hreset|pconfig)",
		"^(aadd|aand|aor|axor|cmp\\w+xadd|prefetchit|rdmsrlist|wrmsrlist|wrmsrns)",
		"^(incssp|rdssp|saveprevssp|rstorssp|wrss|wruss|setssbsy|clrssbsy)",
		"^(encls|enclu|enclv|encodekey|loadiwkey|tdcall|seam|clui|stui|testui)",
		"^(uiret|senduipi|tilezero|tilerelease|ldtilecfg|sttilecfg|td|tile)",
		"^(bl[cs]|tzmsk|t1mskc|bextr|lwpins|lwpval|llwpcb|slwpcb)", // XOP
		"^(pvalidate|psmash|rmpadjust|rmpupdate|rmpquery|invlpgb|tlbsync)",
		"^(xstore|xcrypt|montmul|xsha|ccs)", // PadLock
		"^(lkgs|erets|eretu|cpu_(read|write)|smint|rdshr|wrshr|rsts|rsldt|svts|svldt|dmint|rdm|altinst)",
	].join("|"),
);

/** Undocumented second encodings; our reference for them is the silicon itself. */
const X87_ALIASES = /^(FCOMP?|FXCH|FSTP|FSTPNCE)$/;

const hasRexBeforePrefix = ({ bytes, codeSize }: Comparison) => {
	if (codeSize !== 64) return false;
	for (let i = 0; i < bytes.length - 1; i++) {
		const isRex = (bytes[i] & 0xf0) === 0x40;
		if (isRex && isPrefix(bytes[i + 1])) return true;
		if (!isRex && !isPrefix(bytes[i])) return false;
	}
	return false;
};

const isPrefix = (byte: number) =>
	(byte & 0xf0) === 0x40 ||
	[0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(
		byte,
	);

export const KNOWN_DIFFERENCES: readonly Difference[] = [
	{
		reason: "objdump does not judge LOCK; we refuse it where it is #UD",
		explains: (it) => weRefuse(it) && /\block\b/.test(it.theirs.text),
	},
	{
		reason: "instruction sets that the table leaves out",
		explains: (it) => weRefuse(it) && LEFT_OUT.test(it.theirs.mnemonic),
	},
	{
		reason:
			"objdump follows AMD: 66 before a near branch truncates in 64-bit mode; we follow Intel, which ignores it",
		explains: ({ ours, codeSize, theirLengthBytes }) =>
			codeSize === 64 &&
			typeof ours !== "string" &&
			ours.row.operands[0] === "Jz" &&
			theirLengthBytes === ours.lengthBytes - 2,
	},
	{
		reason:
			"a REX that is not last is void; objdump prints it as an instruction of its own and forgets what stood before it",
		explains: hasRexBeforePrefix,
	},
	{
		reason: "undocumented x87 aliases, which processors execute",
		explains: (it) => isBad(it) && X87_ALIASES.test(ourMnemonic(it)),
	},
	{
		reason: "SALC, undocumented but real",
		explains: (it) => isBad(it) && ourMnemonic(it) === "SALC",
	},
	{
		reason:
			"fences ignore ModR/M r/m on processors; objdump knows r/m = 0 only",
		explains: (it) => isBad(it) && /^[LMS]FENCE$/.test(ourMnemonic(it)),
	},
	{
		reason:
			"prefixes that processors ignore on WBINVD, VMMCALL, BSF and BSR; objdump has no name for the combination",
		explains: (it) =>
			isBad(it) && /^(WBINVD|VMMCALL|BSF|BSR)$/.test(ourMnemonic(it)),
	},
	{
		reason: "MPX is a hint NOP here; objdump checks for its four registers",
		explains: (it) => isBad(it) && ourMnemonic(it) === "NOP",
	},
	{
		reason: "FRSTPM belongs to the 80287; later processors have #UD there",
		explains: (it) => weRefuse(it) && it.theirs.mnemonic.startsWith("frstpm"),
	},
	{
		reason: "segment registers 6 and 7 do not exist: #UD, objdump prints ?",
		explains: (it) => weRefuse(it) && it.theirs.mnemonic === "mov",
	},
	{
		reason: "SWAPGS exists only in 64-bit mode; objdump prints it everywhere",
		explains: (it) => weRefuse(it) && it.theirs.mnemonic === "swapgs",
	},
	{
		reason:
			"66, F2 and F3 make #UD of these; objdump prints the prefix as if it were ignored",
		explains: (it) =>
			weRefuse(it) && /\b(data16|data32|repz|repnz|bnd)\b/.test(it.theirs.text),
	},
];

/** objdump's name for a row is another one of the manual's, or carries the operand size. */
const OTHER_NAMES: Readonly<Record<string, RegExp>> = {
	CALLF: /^l?call[wd]?$/,
	JMPF: /^l?jmp[wd]?$/,
	CBW: /^(cbw|cwde|cdqe)$/,
	CWD: /^(cwd|cdq|cqo)$/,
	JCXZ: /^j[er]?cxz$/,
	LOOPZ: /^loope$/,
	LOOPNZ: /^loopne$/,
	INT1: /^(int1|icebp)$/,
	NOP: /^(nop|bnd\w+|cldemote|xchg|rdssp[dq]|prefetchit[01])$/, // 66 90 is "xchg ax,ax"
	XCHG: /^(xchg|pause)$/, // F3 with REX.B is no PAUSE
	PREFETCH: /^prefetch(w|wt1)?$/,
	VMMCALL: /^(vmmcall|vmgexit)$/,
	WBINVD: /^wb(no)?invd$/,
	MOV: /^mov(abs)?$/,
	MOVD: /^mov[dq]$/,
	PEXTRD: /^pextr[dq]$/,
	PINSRD: /^pinsr[dq]$/,
	FXSAVE: /^fxsave(64)?$/,
	FXRSTOR: /^fxrstor(64)?$/,
	CMPPS: /^cmp\w*ps$/,
	CMPPD: /^cmp\w*pd$/,
	CMPSS: /^cmp\w*ss$/,
	CMPSD: /^cmp\w*sd$/,
	FNENI: /^fneni/,
	FNDISI: /^fndisi/,
	FNSETPM: /^fnsetpm/,
};

const CONDITIONS: Readonly<Record<string, string>> = {
	NB: "ae",
	Z: "e",
	NZ: "ne",
	NBE: "a",
	NL: "ge",
	NLE: "g",
};

/** True when the two names mean the same row. */
export function sameMnemonic(ours: string, theirs: string): boolean {
	const others = OTHER_NAMES[ours];
	if (others !== undefined) return others.test(theirs);
	const condition = /^(J|SET|CMOV)(NB|N?Z|NBE|NLE?)$/.exec(ours);
	const name =
		condition === null
			? ours.toLowerCase()
			: condition[1].toLowerCase() + CONDITIONS[condition[2]];
	return theirs === name || /^[wdq]$/.test(theirs.slice(name.length))
		? theirs.startsWith(name)
		: false;
}
