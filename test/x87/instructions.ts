/**
 * The instructions that the x87 oracle asks about, and how much memory each
 * touches.
 *
 * @journey M:748 What to ask
 */

/** One instruction to try. */
export interface Question {
	readonly name: string;
	readonly code: readonly number[];
	/** Bytes of memory it reads or writes; [rdx] operands only. */
	readonly memoryBytes: number;
	/** What memory holds beforehand. */
	readonly memory?: "f32" | "f64" | "f80" | "integer" | "decimal" | "any";
}

const memory = (
	name: string,
	opcode: number,
	extension: number,
	kind: Question["memory"],
	memoryBytes = 16,
): Question => ({
	name,
	code: [opcode, (extension << 3) | 2],
	memoryBytes,
	...(kind === undefined ? {} : { memory: kind }),
});

const register = (name: string, opcode: number, modrm: number): Question => ({
	name,
	code: [opcode, modrm],
	memoryBytes: 0,
});

const ARITHMETIC = ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"];

const arithmetic = ARITHMETIC.flatMap((operation, i) => [
	memory(`f${operation} m32`, 0xd8, i, "f32"),
	memory(`f${operation} m64`, 0xdc, i, "f64"),
	memory(`fi${operation} m32`, 0xda, i, "integer"),
	memory(`fi${operation} m16`, 0xde, i, "integer"),
	register(`f${operation} st0,st1`, 0xd8, 0xc1 + 8 * i),
	register(`f${operation} st0,st0`, 0xd8, 0xc0 + 8 * i),
	register(`f${operation} st2,st0`, 0xdc, 0xc2 + 8 * i),
	register(`f${operation}p st1,st0`, 0xde, 0xc1 + 8 * i),
]).filter(({ code }) => code[0] !== 0xde || code[1] !== 0xd9 - 8);

const transfers = [
	memory("fld m32", 0xd9, 0, "f32"),
	memory("fld m64", 0xdd, 0, "f64"),
	memory("fld m80", 0xdb, 5, "f80"),
	memory("fst m32", 0xd9, 2, "any"),
	memory("fst m64", 0xdd, 2, "any"),
	memory("fstp m32", 0xd9, 3, "any"),
	memory("fstp m64", 0xdd, 3, "any"),
	memory("fstp m80", 0xdb, 7, "any"),
	memory("fild m16", 0xdf, 0, "integer"),
	memory("fild m32", 0xdb, 0, "integer"),
	memory("fild m64", 0xdf, 5, "integer"),
	memory("fist m16", 0xdf, 2, "any"),
	memory("fist m32", 0xdb, 2, "any"),
	memory("fistp m16", 0xdf, 3, "any"),
	memory("fistp m32", 0xdb, 3, "any"),
	memory("fistp m64", 0xdf, 7, "any"),
	memory("fisttp m16", 0xdf, 1, "any"),
	memory("fisttp m32", 0xdb, 1, "any"),
	memory("fisttp m64", 0xdd, 1, "any"),
	memory("fbld m80", 0xdf, 4, "decimal"),
	memory("fbstp m80", 0xdf, 6, "any"),
	register("fld st2", 0xd9, 0xc2),
	register("fld st7", 0xd9, 0xc7),
	register("fst st3", 0xdd, 0xd3),
	register("fstp st3", 0xdd, 0xdb),
	register("fstp st0", 0xdd, 0xd8),
	register("fstp st2 (df d2)", 0xdf, 0xd2),
	register("fstp st2 (df da)", 0xdf, 0xda),
	register("fstpnce st2", 0xd9, 0xda),
	register("fxch st2", 0xd9, 0xca),
	register("fxch st2 (dd)", 0xdd, 0xca),
	register("fxch st2 (df)", 0xdf, 0xca),
	register("ffree st2", 0xdd, 0xc2),
	register("ffreep st2", 0xdf, 0xc2),
	register("fincstp", 0xd9, 0xf7),
	register("fdecstp", 0xd9, 0xf6),
	...["1", "l2t", "l2e", "pi", "lg2", "ln2", "z"].map((name, i) =>
		register(`fld${name}`, 0xd9, 0xe8 + i),
	),
];

const comparisons = [
	register("fucom st1", 0xdd, 0xe1),
	register("fucomp st1", 0xdd, 0xe9),
	register("fcompp", 0xde, 0xd9),
	register("fucompp", 0xda, 0xe9),
	register("ftst", 0xd9, 0xe4),
	register("fxam", 0xd9, 0xe5),
	register("fcomi st1", 0xdb, 0xf1),
	register("fcomip st1", 0xdf, 0xf1),
	register("fucomi st1", 0xdb, 0xe9),
	register("fucomip st1", 0xdf, 0xe9),
	register("fcomp st2 (de)", 0xde, 0xd2),
	...["b", "e", "be", "u"].flatMap((name, i) => [
		register(`fcmov${name}`, 0xda, 0xc1 + 8 * i),
		register(`fcmovn${name}`, 0xdb, 0xc1 + 8 * i),
	]),
];

const unary = [
	register("fchs", 0xd9, 0xe0),
	register("fabs", 0xd9, 0xe1),
	register("fsqrt", 0xd9, 0xfa),
	register("frndint", 0xd9, 0xfc),
	register("fscale", 0xd9, 0xfd),
	register("fxtract", 0xd9, 0xf4),
	register("fprem", 0xd9, 0xf8),
	register("fprem1", 0xd9, 0xf5),
];

const control = [
	memory("fldenv", 0xd9, 4, "any", 32),
	memory("fnstenv", 0xd9, 6, "any", 32),
	memory("fldcw", 0xd9, 5, "any"),
	memory("fnstcw", 0xd9, 7, "any"),
	memory("frstor", 0xdd, 4, "any", 112),
	memory("fnsave", 0xdd, 6, "any", 112),
	memory("fnstsw m", 0xdd, 7, "any"),
	{ ...memory("fldenv 16", 0xd9, 4, "any", 16), code: [0x66, 0xd9, 0x22] },
	{ ...memory("fnstenv 16", 0xd9, 6, "any", 16), code: [0x66, 0xd9, 0x32] },
	{ ...memory("frstor 16", 0xdd, 4, "any", 96), code: [0x66, 0xdd, 0x22] },
	{ ...memory("fnsave 16", 0xdd, 6, "any", 96), code: [0x66, 0xdd, 0x32] },
	register("fnstsw ax", 0xdf, 0xe0),
	register("fnop", 0xd9, 0xd0),
	register("fneni", 0xdb, 0xe0),
	register("fndisi", 0xdb, 0xe1),
	register("fnclex", 0xdb, 0xe2),
	register("fninit", 0xdb, 0xe3),
	register("fnsetpm", 0xdb, 0xe4),
	{ name: "fwait", code: [0x9b], memoryBytes: 0 },
	{ name: "emms", code: [0x0f, 0x77], memoryBytes: 0 },
];

/** What one instruction remembers, as the next one stores it. */
const sequences: readonly Question[] = [
	{
		...memory("fld; fnstenv", 0xd9, 0, "f32", 32),
		code: [0xd9, 2, 0xd9, 0x32],
	},
	{
		...memory("fadd; fnstenv", 0xd9, 0, "f32", 32),
		code: [0xd8, 0xc1, 0xd9, 0x32],
	},
	{
		...memory("prefixed fst; fnstenv", 0xd9, 0, "any", 32),
		code: [0x64, 0x66, 0xdd, 0xd3, 0x66, 0xd9, 0x32],
	},
	{
		...memory("fist; fnsave", 0xd9, 0, "any", 112),
		code: [0xdb, 0x52, 4, 0xdd, 0x32],
	},
	{
		...memory("fnop; fnstenv", 0xd9, 0, "any", 32),
		code: [0xd9, 0xd0, 0xd9, 0x32],
	},
	{
		...memory("fincstp; fnstenv", 0xd9, 0, "any", 32),
		code: [0xd9, 0xf7, 0xd9, 0x32],
	},
	{
		...memory("ffree; fnstenv", 0xd9, 0, "any", 32),
		code: [0xdd, 0xc1, 0xd9, 0x32],
	},
	{
		...memory("fxch; fnstenv", 0xd9, 0, "any", 32),
		code: [0xd9, 0xc9, 0xd9, 0x32],
	},
	{
		...memory("fcmovb; fnstenv", 0xd9, 0, "any", 32),
		code: [0xda, 0xc1, 0xd9, 0x32],
	},
	{
		...memory("fnclex; fnstenv", 0xd9, 0, "any", 32),
		code: [0xdb, 0xe2, 0xd9, 0x32],
	},
	{
		...memory("fld; fwait; fnstenv", 0xd9, 0, "any", 32),
		code: [0xdd, 2, 0x9b, 0xd9, 0x32],
	},
	{
		...memory("fld; fldcw; fnstenv", 0xd9, 0, "any", 32),
		code: [0xdd, 2, 0xd9, 0x6a, 16, 0xd9, 0x32],
	},
	{
		...memory("fld; paddb; fnstenv", 0xd9, 0, "any", 32),
		code: [0xdd, 2, 0x0f, 0xfc, 0xca, 0xd9, 0x32],
	},
	{
		...memory("fneni; fnstenv", 0xd9, 0, "any", 32),
		code: [0xdb, 0xe0, 0xd9, 0x32],
	},
	{
		...memory("frstor; fnsave", 0xd9, 0, "any", 112),
		code: [0xdd, 0x22, 0xdd, 0x32],
	},
	{
		...memory("fldenv; fnstenv", 0xd9, 0, "any", 32),
		code: [0xd9, 0x22, 0xd9, 0x32],
	},
	{
		...memory("fldenv16; fnstenv", 0xd9, 0, "any", 32),
		code: [0x66, 0xd9, 0x22, 0xd9, 0x32],
	},
];

/** All instructions whose results are exact. */
export const QUESTIONS: readonly Question[] = [
	...arithmetic,
	...transfers,
	...comparisons,
	...unary,
	...control,
	...sequences,
];

/** Instructions whose results are exact to within one unit in the last place. */
export const TRANSCENDENTAL: readonly Question[] = [
	register("f2xm1", 0xd9, 0xf0),
	register("fyl2x", 0xd9, 0xf1),
	register("fptan", 0xd9, 0xf2),
	register("fpatan", 0xd9, 0xf3),
	register("fyl2xp1", 0xd9, 0xf9),
	register("fsincos", 0xd9, 0xfb),
	register("fsin", 0xd9, 0xfe),
	register("fcos", 0xd9, 0xff),
];
