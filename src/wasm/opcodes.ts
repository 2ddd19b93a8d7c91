/**
 * The instruction set of the target machine: the byte codes, operand types and
 * result types of every WebAssembly instruction we emit, under the names which
 * the WebAssembly specification gives them, so that one search finds both.
 * Relies on nothing; the expression constructors check their arguments against
 * these tables, and the encoder copies the `code` bytes out of them.
 *
 * @journey P:205 The instructions we speak
 * You will read two instruction sets in this project: the one we understand
 * (x86, under `cpu/`) and the one we speak, which is this file. It is pure
 * data, one line an instruction. Codes behind the vector prefix are written in
 * decimal because the specification does so (WebAssembly 2.0, "Vector
 * Instructions" of the binary format).
 */

/** What a local, an operand or a result can be; references never leave tables. */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** An instruction without immediates: operands from the stack, one result. */
export interface PlainOp<R extends ValueType = ValueType> {
	readonly code: readonly number[];
	readonly params: readonly ValueType[];
	readonly result: R;
}

/** An instruction whose immediate picks a lane, below `lanes`, of a vector. */
export interface LaneOp<R extends ValueType = ValueType> extends PlainOp<R> {
	readonly lanes: number;
}

/** A load or store: `type` is the value's type on the stack, not in memory. */
export interface MemoryOp<T extends ValueType = ValueType> {
	readonly code: readonly number[];
	/** log2 of the bytes accessed, which is the largest alignment hint allowed. */
	readonly naturalAlignment: number;
	readonly type: T;
}

/** A load into, or store out of, one lane of a vector on the stack. */
export interface MemoryLaneOp extends MemoryOp<"v128"> {
	readonly lanes: number;
}

/** Vector codes exceed a byte's seven LEB128 bits from 128 on. */
function simdCode(code: number): readonly number[] {
	return code < 128 ? [0xfd, code] : [0xfd, (code & 0x7f) | 0x80, code >> 7];
}

function plain<R extends ValueType>(
	code: number,
	params: readonly ValueType[],
	result: R,
): PlainOp<R> {
	return { code: [code], params, result };
}

function saturating<R extends ValueType>(
	code: number,
	params: readonly ValueType[],
	result: R,
): PlainOp<R> {
	return { code: [0xfc, code], params, result };
}

function simd<R extends ValueType>(
	code: number,
	params: readonly ValueType[],
	result: R,
): PlainOp<R> {
	return { code: simdCode(code), params, result };
}

function lane<R extends ValueType>(
	code: number,
	lanes: number,
	params: readonly ValueType[],
	result: R,
): LaneOp<R> {
	return { code: simdCode(code), lanes, params, result };
}

function memory<T extends ValueType>(
	code: readonly number[],
	naturalAlignment: number,
	type: T,
): MemoryOp<T> {
	return { code, naturalAlignment, type };
}

function memoryLane(
	code: number,
	naturalAlignment: number,
	lanes: number,
): MemoryLaneOp {
	return { code: simdCode(code), naturalAlignment, lanes, type: "v128" };
}

/** Every value instruction without immediates, in the specification's order. */
export const OPCODES = {
	// Comparisons.
	"i32.eqz": plain(0x45, ["i32"], "i32"),
	"i32.eq": plain(0x46, ["i32", "i32"], "i32"),
	"i32.ne": plain(0x47, ["i32", "i32"], "i32"),
	"i32.lt_s": plain(0x48, ["i32", "i32"], "i32"),
	"i32.lt_u": plain(0x49, ["i32", "i32"], "i32"),
	"i32.gt_s": plain(0x4a, ["i32", "i32"], "i32"),
	"i32.gt_u": plain(0x4b, ["i32", "i32"], "i32"),
	"i32.le_s": plain(0x4c, ["i32", "i32"], "i32"),
	"i32.le_u": plain(0x4d, ["i32", "i32"], "i32"),
	"i32.ge_s": plain(0x4e, ["i32", "i32"], "i32"),
	"i32.ge_u": plain(0x4f, ["i32", "i32"], "i32"),
	"i64.eqz": plain(0x50, ["i64"], "i32"),
	"i64.eq": plain(0x51, ["i64", "i64"], "i32"),
	"i64.ne": plain(0x52, ["i64", "i64"], "i32"),
	"i64.lt_s": plain(0x53, ["i64", "i64"], "i32"),
	"i64.lt_u": plain(0x54, ["i64", "i64"], "i32"),
	"i64.gt_s": plain(0x55, ["i64", "i64"], "i32"),
	"i64.gt_u": plain(0x56, ["i64", "i64"], "i32"),
	"i64.le_s": plain(0x57, ["i64", "i64"], "i32"),
	"i64.le_u": plain(0x58, ["i64", "i64"], "i32"),
	"i64.ge_s": plain(0x59, ["i64", "i64"], "i32"),
	"i64.ge_u": plain(0x5a, ["i64", "i64"], "i32"),
	"f32.eq": plain(0x5b, ["f32", "f32"], "i32"),
	"f32.ne": plain(0x5c, ["f32", "f32"], "i32"),
	"f32.lt": plain(0x5d, ["f32", "f32"], "i32"),
	"f32.gt": plain(0x5e, ["f32", "f32"], "i32"),
	"f32.le": plain(0x5f, ["f32", "f32"], "i32"),
	"f32.ge": plain(0x60, ["f32", "f32"], "i32"),
	"f64.eq": plain(0x61, ["f64", "f64"], "i32"),
	"f64.ne": plain(0x62, ["f64", "f64"], "i32"),
	"f64.lt": plain(0x63, ["f64", "f64"], "i32"),
	"f64.gt": plain(0x64, ["f64", "f64"], "i32"),
	"f64.le": plain(0x65, ["f64", "f64"], "i32"),
	"f64.ge": plain(0x66, ["f64", "f64"], "i32"),
	// Arithmetic.
	"i32.clz": plain(0x67, ["i32"], "i32"),
	"i32.ctz": plain(0x68, ["i32"], "i32"),
	"i32.popcnt": plain(0x69, ["i32"], "i32"),
	"i32.add": plain(0x6a, ["i32", "i32"], "i32"),
	"i32.sub": plain(0x6b, ["i32", "i32"], "i32"),
	"i32.mul": plain(0x6c, ["i32", "i32"], "i32"),
	"i32.div_s": plain(0x6d, ["i32", "i32"], "i32"),
	"i32.div_u": plain(0x6e, ["i32", "i32"], "i32"),
	"i32.rem_s": plain(0x6f, ["i32", "i32"], "i32"),
	"i32.rem_u": plain(0x70, ["i32", "i32"], "i32"),
	"i32.and": plain(0x71, ["i32", "i32"], "i32"),
	"i32.or": plain(0x72, ["i32", "i32"], "i32"),
	"i32.xor": plain(0x73, ["i32", "i32"], "i32"),
	"i32.shl": plain(0x74, ["i32", "i32"], "i32"),
	"i32.shr_s": plain(0x75, ["i32", "i32"], "i32"),
	"i32.shr_u": plain(0x76, ["i32", "i32"], "i32"),
	"i32.rotl": plain(0x77, ["i32", "i32"], "i32"),
	"i32.rotr": plain(0x78, ["i32", "i32"], "i32"),
	"i64.clz": plain(0x79, ["i64"], "i64"),
	"i64.ctz": plain(0x7a, ["i64"], "i64"),
	"i64.popcnt": plain(0x7b, ["i64"], "i64"),
	"i64.add": plain(0x7c, ["i64", "i64"], "i64"),
	"i64.sub": plain(0x7d, ["i64", "i64"], "i64"),
	"i64.mul": plain(0x7e, ["i64", "i64"], "i64"),
	"i64.div_s": plain(0x7f, ["i64", "i64"], "i64"),
	"i64.div_u": plain(0x80, ["i64", "i64"], "i64"),
	"i64.rem_s": plain(0x81, ["i64", "i64"], "i64"),
	"i64.rem_u": plain(0x82, ["i64", "i64"], "i64"),
	"i64.and": plain(0x83, ["i64", "i64"], "i64"),
	"i64.or": plain(0x84, ["i64", "i64"], "i64"),
	"i64.xor": plain(0x85, ["i64", "i64"], "i64"),
	"i64.shl": plain(0x86, ["i64", "i64"], "i64"),
	"i64.shr_s": plain(0x87, ["i64", "i64"], "i64"),
	"i64.shr_u": plain(0x88, ["i64", "i64"], "i64"),
	"i64.rotl": plain(0x89, ["i64", "i64"], "i64"),
	"i64.rotr": plain(0x8a, ["i64", "i64"], "i64"),
	"f32.abs": plain(0x8b, ["f32"], "f32"),
	"f32.neg": plain(0x8c, ["f32"], "f32"),
	"f32.ceil": plain(0x8d, ["f32"], "f32"),
	"f32.floor": plain(0x8e, ["f32"], "f32"),
	"f32.trunc": plain(0x8f, ["f32"], "f32"),
	"f32.nearest": plain(0x90, ["f32"], "f32"),
	"f32.sqrt": plain(0x91, ["f32"], "f32"),
	"f32.add": plain(0x92, ["f32", "f32"], "f32"),
	"f32.sub": plain(0x93, ["f32", "f32"], "f32"),
	"f32.mul": plain(0x94, ["f32", "f32"], "f32"),
	"f32.div": plain(0x95, ["f32", "f32"], "f32"),
	"f32.min": plain(0x96, ["f32", "f32"], "f32"),
	"f32.max": plain(0x97, ["f32", "f32"], "f32"),
	"f32.copysign": plain(0x98, ["f32", "f32"], "f32"),
	"f64.abs": plain(0x99, ["f64"], "f64"),
	"f64.neg": plain(0x9a, ["f64"], "f64"),
	"f64.ceil": plain(0x9b, ["f64"], "f64"),
	"f64.floor": plain(0x9c, ["f64"], "f64"),
	"f64.trunc": plain(0x9d, ["f64"], "f64"),
	"f64.nearest": plain(0x9e, ["f64"], "f64"),
	"f64.sqrt": plain(0x9f, ["f64"], "f64"),
	"f64.add": plain(0xa0, ["f64", "f64"], "f64"),
	"f64.sub": plain(0xa1, ["f64", "f64"], "f64"),
	"f64.mul": plain(0xa2, ["f64", "f64"], "f64"),
	"f64.div": plain(0xa3, ["f64", "f64"], "f64"),
	"f64.min": plain(0xa4, ["f64", "f64"], "f64"),
	"f64.max": plain(0xa5, ["f64", "f64"], "f64"),
	"f64.copysign": plain(0xa6, ["f64", "f64"], "f64"),
	// Conversions.
	"i32.wrap_i64": plain(0xa7, ["i64"], "i32"),
	"i32.trunc_f32_s": plain(0xa8, ["f32"], "i32"),
	"i32.trunc_f32_u": plain(0xa9, ["f32"], "i32"),
	"i32.trunc_f64_s": plain(0xaa, ["f64"], "i32"),
	"i32.trunc_f64_u": plain(0xab, ["f64"], "i32"),
	"i64.extend_i32_s": plain(0xac, ["i32"], "i64"),
	"i64.extend_i32_u": plain(0xad, ["i32"], "i64"),
	"i64.trunc_f32_s": plain(0xae, ["f32"], "i64"),
	"i64.trunc_f32_u": plain(0xaf, ["f32"], "i64"),
	"i64.trunc_f64_s": plain(0xb0, ["f64"], "i64"),
	"i64.trunc_f64_u": plain(0xb1, ["f64"], "i64"),
	"f32.convert_i32_s": plain(0xb2, ["i32"], "f32"),
	"f32.convert_i32_u": plain(0xb3, ["i32"], "f32"),
	"f32.convert_i64_s": plain(0xb4, ["i64"], "f32"),
	"f32.convert_i64_u": plain(0xb5, ["i64"], "f32"),
	"f32.demote_f64": plain(0xb6, ["f64"], "f32"),
	"f64.convert_i32_s": plain(0xb7, ["i32"], "f64"),
	"f64.convert_i32_u": plain(0xb8, ["i32"], "f64"),
	"f64.convert_i64_s": plain(0xb9, ["i64"], "f64"),
	"f64.convert_i64_u": plain(0xba, ["i64"], "f64"),
	"f64.promote_f32": plain(0xbb, ["f32"], "f64"),
	"i32.reinterpret_f32": plain(0xbc, ["f32"], "i32"),
	"i64.reinterpret_f64": plain(0xbd, ["f64"], "i64"),
	"f32.reinterpret_i32": plain(0xbe, ["i32"], "f32"),
	"f64.reinterpret_i64": plain(0xbf, ["i64"], "f64"),
	// Sign extension within a register.
	"i32.extend8_s": plain(0xc0, ["i32"], "i32"),
	"i32.extend16_s": plain(0xc1, ["i32"], "i32"),
	"i64.extend8_s": plain(0xc2, ["i64"], "i64"),
	"i64.extend16_s": plain(0xc3, ["i64"], "i64"),
	"i64.extend32_s": plain(0xc4, ["i64"], "i64"),
	// Saturating truncation: never traps, unlike the plain truncations above.
	"i32.trunc_sat_f32_s": saturating(0, ["f32"], "i32"),
	"i32.trunc_sat_f32_u": saturating(1, ["f32"], "i32"),
	"i32.trunc_sat_f64_s": saturating(2, ["f64"], "i32"),
	"i32.trunc_sat_f64_u": saturating(3, ["f64"], "i32"),
	"i64.trunc_sat_f32_s": saturating(4, ["f32"], "i64"),
	"i64.trunc_sat_f32_u": saturating(5, ["f32"], "i64"),
	"i64.trunc_sat_f64_s": saturating(6, ["f64"], "i64"),
	"i64.trunc_sat_f64_u": saturating(7, ["f64"], "i64"),
	// Vectors, in code order: swizzle and splats.
	"i8x16.swizzle": simd(14, ["v128", "v128"], "v128"),
	"i8x16.splat": simd(15, ["i32"], "v128"),
	"i16x8.splat": simd(16, ["i32"], "v128"),
	"i32x4.splat": simd(17, ["i32"], "v128"),
	"i64x2.splat": simd(18, ["i64"], "v128"),
	"f32x4.splat": simd(19, ["f32"], "v128"),
	"f64x2.splat": simd(20, ["f64"], "v128"),
	// Vector comparisons: all ones or all zeros in each lane.
	"i8x16.eq": simd(35, ["v128", "v128"], "v128"),
	"i8x16.ne": simd(36, ["v128", "v128"], "v128"),
	"i8x16.lt_s": simd(37, ["v128", "v128"], "v128"),
	"i8x16.lt_u": simd(38, ["v128", "v128"], "v128"),
	"i8x16.gt_s": simd(39, ["v128", "v128"], "v128"),
	"i8x16.gt_u": simd(40, ["v128", "v128"], "v128"),
	"i8x16.le_s": simd(41, ["v128", "v128"], "v128"),
	"i8x16.le_u": simd(42, ["v128", "v128"], "v128"),
	"i8x16.ge_s": simd(43, ["v128", "v128"], "v128"),
	"i8x16.ge_u": simd(44, ["v128", "v128"], "v128"),
	"i16x8.eq": simd(45, ["v128", "v128"], "v128"),
	"i16x8.ne": simd(46, ["v128", "v128"], "v128"),
	"i16x8.lt_s": simd(47, ["v128", "v128"], "v128"),
	"i16x8.lt_u": simd(48, ["v128", "v128"], "v128"),
	"i16x8.gt_s": simd(49, ["v128", "v128"], "v128"),
	"i16x8.gt_u": simd(50, ["v128", "v128"], "v128"),
	"i16x8.le_s": simd(51, ["v128", "v128"], "v128"),
	"i16x8.le_u": simd(52, ["v128", "v128"], "v128"),
	"i16x8.ge_s": simd(53, ["v128", "v128"], "v128"),
	"i16x8.ge_u": simd(54, ["v128", "v128"], "v128"),
	"i32x4.eq": simd(55, ["v128", "v128"], "v128"),
	"i32x4.ne": simd(56, ["v128", "v128"], "v128"),
	"i32x4.lt_s": simd(57, ["v128", "v128"], "v128"),
	"i32x4.lt_u": simd(58, ["v128", "v128"], "v128"),
	"i32x4.gt_s": simd(59, ["v128", "v128"], "v128"),
	"i32x4.gt_u": simd(60, ["v128", "v128"], "v128"),
	"i32x4.le_s": simd(61, ["v128", "v128"], "v128"),
	"i32x4.le_u": simd(62, ["v128", "v128"], "v128"),
	"i32x4.ge_s": simd(63, ["v128", "v128"], "v128"),
	"i32x4.ge_u": simd(64, ["v128", "v128"], "v128"),
	"f32x4.eq": simd(65, ["v128", "v128"], "v128"),
	"f32x4.ne": simd(66, ["v128", "v128"], "v128"),
	"f32x4.lt": simd(67, ["v128", "v128"], "v128"),
	"f32x4.gt": simd(68, ["v128", "v128"], "v128"),
	"f32x4.le": simd(69, ["v128", "v128"], "v128"),
	"f32x4.ge": simd(70, ["v128", "v128"], "v128"),
	"f64x2.eq": simd(71, ["v128", "v128"], "v128"),
	"f64x2.ne": simd(72, ["v128", "v128"], "v128"),
	"f64x2.lt": simd(73, ["v128", "v128"], "v128"),
	"f64x2.gt": simd(74, ["v128", "v128"], "v128"),
	"f64x2.le": simd(75, ["v128", "v128"], "v128"),
	"f64x2.ge": simd(76, ["v128", "v128"], "v128"),
	// The whole vector as 128 bits.
	"v128.not": simd(77, ["v128"], "v128"),
	"v128.and": simd(78, ["v128", "v128"], "v128"),
	"v128.andnot": simd(79, ["v128", "v128"], "v128"),
	"v128.or": simd(80, ["v128", "v128"], "v128"),
	"v128.xor": simd(81, ["v128", "v128"], "v128"),
	"v128.bitselect": simd(82, ["v128", "v128", "v128"], "v128"),
	"v128.any_true": simd(83, ["v128"], "i32"),
	// Float width changes.
	"f32x4.demote_f64x2_zero": simd(94, ["v128"], "v128"),
	"f64x2.promote_low_f32x4": simd(95, ["v128"], "v128"),
	// i8x16.
	"i8x16.abs": simd(96, ["v128"], "v128"),
	"i8x16.neg": simd(97, ["v128"], "v128"),
	"i8x16.popcnt": simd(98, ["v128"], "v128"),
	"i8x16.all_true": simd(99, ["v128"], "i32"),
	"i8x16.bitmask": simd(100, ["v128"], "i32"),
	"i8x16.narrow_i16x8_s": simd(101, ["v128", "v128"], "v128"),
	"i8x16.narrow_i16x8_u": simd(102, ["v128", "v128"], "v128"),
	"i8x16.shl": simd(107, ["v128", "i32"], "v128"),
	"i8x16.shr_s": simd(108, ["v128", "i32"], "v128"),
	"i8x16.shr_u": simd(109, ["v128", "i32"], "v128"),
	"i8x16.add": simd(110, ["v128", "v128"], "v128"),
	"i8x16.add_sat_s": simd(111, ["v128", "v128"], "v128"),
	"i8x16.add_sat_u": simd(112, ["v128", "v128"], "v128"),
	"i8x16.sub": simd(113, ["v128", "v128"], "v128"),
	"i8x16.sub_sat_s": simd(114, ["v128", "v128"], "v128"),
	"i8x16.sub_sat_u": simd(115, ["v128", "v128"], "v128"),
	"i8x16.min_s": simd(118, ["v128", "v128"], "v128"),
	"i8x16.min_u": simd(119, ["v128", "v128"], "v128"),
	"i8x16.max_s": simd(120, ["v128", "v128"], "v128"),
	"i8x16.max_u": simd(121, ["v128", "v128"], "v128"),
	"i8x16.avgr_u": simd(123, ["v128", "v128"], "v128"),
	// i16x8.
	"i16x8.extadd_pairwise_i8x16_s": simd(124, ["v128"], "v128"),
	"i16x8.extadd_pairwise_i8x16_u": simd(125, ["v128"], "v128"),
	"i16x8.abs": simd(128, ["v128"], "v128"),
	"i16x8.neg": simd(129, ["v128"], "v128"),
	"i16x8.q15mulr_sat_s": simd(130, ["v128", "v128"], "v128"),
	"i16x8.all_true": simd(131, ["v128"], "i32"),
	"i16x8.bitmask": simd(132, ["v128"], "i32"),
	"i16x8.narrow_i32x4_s": simd(133, ["v128", "v128"], "v128"),
	"i16x8.narrow_i32x4_u": simd(134, ["v128", "v128"], "v128"),
	"i16x8.extend_low_i8x16_s": simd(135, ["v128"], "v128"),
	"i16x8.extend_high_i8x16_s": simd(136, ["v128"], "v128"),
	"i16x8.extend_low_i8x16_u": simd(137, ["v128"], "v128"),
	"i16x8.extend_high_i8x16_u": simd(138, ["v128"], "v128"),
	"i16x8.shl": simd(139, ["v128", "i32"], "v128"),
	"i16x8.shr_s": simd(140, ["v128", "i32"], "v128"),
	"i16x8.shr_u": simd(141, ["v128", "i32"], "v128"),
	"i16x8.add": simd(142, ["v128", "v128"], "v128"),
	"i16x8.add_sat_s": simd(143, ["v128", "v128"], "v128"),
	"i16x8.add_sat_u": simd(144, ["v128", "v128"], "v128"),
	"i16x8.sub": simd(145, ["v128", "v128"], "v128"),
	"i16x8.sub_sat_s": simd(146, ["v128", "v128"], "v128"),
	"i16x8.sub_sat_u": simd(147, ["v128", "v128"], "v128"),
	"i16x8.mul": simd(149, ["v128", "v128"], "v128"),
	"i16x8.min_s": simd(150, ["v128", "v128"], "v128"),
	"i16x8.min_u": simd(151, ["v128", "v128"], "v128"),
	"i16x8.max_s": simd(152, ["v128", "v128"], "v128"),
	"i16x8.max_u": simd(153, ["v128", "v128"], "v128"),
	"i16x8.avgr_u": simd(155, ["v128", "v128"], "v128"),
	"i16x8.extmul_low_i8x16_s": simd(156, ["v128", "v128"], "v128"),
	"i16x8.extmul_high_i8x16_s": simd(157, ["v128", "v128"], "v128"),
	"i16x8.extmul_low_i8x16_u": simd(158, ["v128", "v128"], "v128"),
	"i16x8.extmul_high_i8x16_u": simd(159, ["v128", "v128"], "v128"),
	// i32x4.
	"i32x4.extadd_pairwise_i16x8_s": simd(126, ["v128"], "v128"),
	"i32x4.extadd_pairwise_i16x8_u": simd(127, ["v128"], "v128"),
	"i32x4.abs": simd(160, ["v128"], "v128"),
	"i32x4.neg": simd(161, ["v128"], "v128"),
	"i32x4.all_true": simd(163, ["v128"], "i32"),
	"i32x4.bitmask": simd(164, ["v128"], "i32"),
	"i32x4.extend_low_i16x8_s": simd(167, ["v128"], "v128"),
	"i32x4.extend_high_i16x8_s": simd(168, ["v128"], "v128"),
	"i32x4.extend_low_i16x8_u": simd(169, ["v128"], "v128"),
	"i32x4.extend_high_i16x8_u": simd(170, ["v128"], "v128"),
	"i32x4.shl": simd(171, ["v128", "i32"], "v128"),
	"i32x4.shr_s": simd(172, ["v128", "i32"], "v128"),
	"i32x4.shr_u": simd(173, ["v128", "i32"], "v128"),
	"i32x4.add": simd(174, ["v128", "v128"], "v128"),
	"i32x4.sub": simd(177, ["v128", "v128"], "v128"),
	"i32x4.mul": simd(181, ["v128", "v128"], "v128"),
	"i32x4.min_s": simd(182, ["v128", "v128"], "v128"),
	"i32x4.min_u": simd(183, ["v128", "v128"], "v128"),
	"i32x4.max_s": simd(184, ["v128", "v128"], "v128"),
	"i32x4.max_u": simd(185, ["v128", "v128"], "v128"),
	"i32x4.dot_i16x8_s": simd(186, ["v128", "v128"], "v128"),
	"i32x4.extmul_low_i16x8_s": simd(188, ["v128", "v128"], "v128"),
	"i32x4.extmul_high_i16x8_s": simd(189, ["v128", "v128"], "v128"),
	"i32x4.extmul_low_i16x8_u": simd(190, ["v128", "v128"], "v128"),
	"i32x4.extmul_high_i16x8_u": simd(191, ["v128", "v128"], "v128"),
	// i64x2.
	"i64x2.abs": simd(192, ["v128"], "v128"),
	"i64x2.neg": simd(193, ["v128"], "v128"),
	"i64x2.all_true": simd(195, ["v128"], "i32"),
	"i64x2.bitmask": simd(196, ["v128"], "i32"),
	"i64x2.extend_low_i32x4_s": simd(199, ["v128"], "v128"),
	"i64x2.extend_high_i32x4_s": simd(200, ["v128"], "v128"),
	"i64x2.extend_low_i32x4_u": simd(201, ["v128"], "v128"),
	"i64x2.extend_high_i32x4_u": simd(202, ["v128"], "v128"),
	"i64x2.shl": simd(203, ["v128", "i32"], "v128"),
	"i64x2.shr_s": simd(204, ["v128", "i32"], "v128"),
	"i64x2.shr_u": simd(205, ["v128", "i32"], "v128"),
	"i64x2.add": simd(206, ["v128", "v128"], "v128"),
	"i64x2.sub": simd(209, ["v128", "v128"], "v128"),
	"i64x2.mul": simd(213, ["v128", "v128"], "v128"),
	"i64x2.eq": simd(214, ["v128", "v128"], "v128"),
	"i64x2.ne": simd(215, ["v128", "v128"], "v128"),
	"i64x2.lt_s": simd(216, ["v128", "v128"], "v128"),
	"i64x2.gt_s": simd(217, ["v128", "v128"], "v128"),
	"i64x2.le_s": simd(218, ["v128", "v128"], "v128"),
	"i64x2.ge_s": simd(219, ["v128", "v128"], "v128"),
	"i64x2.extmul_low_i32x4_s": simd(220, ["v128", "v128"], "v128"),
	"i64x2.extmul_high_i32x4_s": simd(221, ["v128", "v128"], "v128"),
	"i64x2.extmul_low_i32x4_u": simd(222, ["v128", "v128"], "v128"),
	"i64x2.extmul_high_i32x4_u": simd(223, ["v128", "v128"], "v128"),
	// f32x4 and f64x2; pmin and pmax are b < a ? b : a and a < b ? b : a, whereas min
	// and max propagate NaN.
	"f32x4.ceil": simd(103, ["v128"], "v128"),
	"f32x4.floor": simd(104, ["v128"], "v128"),
	"f32x4.trunc": simd(105, ["v128"], "v128"),
	"f32x4.nearest": simd(106, ["v128"], "v128"),
	"f32x4.abs": simd(224, ["v128"], "v128"),
	"f32x4.neg": simd(225, ["v128"], "v128"),
	"f32x4.sqrt": simd(227, ["v128"], "v128"),
	"f32x4.add": simd(228, ["v128", "v128"], "v128"),
	"f32x4.sub": simd(229, ["v128", "v128"], "v128"),
	"f32x4.mul": simd(230, ["v128", "v128"], "v128"),
	"f32x4.div": simd(231, ["v128", "v128"], "v128"),
	"f32x4.min": simd(232, ["v128", "v128"], "v128"),
	"f32x4.max": simd(233, ["v128", "v128"], "v128"),
	"f32x4.pmin": simd(234, ["v128", "v128"], "v128"),
	"f32x4.pmax": simd(235, ["v128", "v128"], "v128"),
	"f64x2.ceil": simd(116, ["v128"], "v128"),
	"f64x2.floor": simd(117, ["v128"], "v128"),
	"f64x2.trunc": simd(122, ["v128"], "v128"),
	"f64x2.nearest": simd(148, ["v128"], "v128"),
	"f64x2.abs": simd(236, ["v128"], "v128"),
	"f64x2.neg": simd(237, ["v128"], "v128"),
	"f64x2.sqrt": simd(239, ["v128"], "v128"),
	"f64x2.add": simd(240, ["v128", "v128"], "v128"),
	"f64x2.sub": simd(241, ["v128", "v128"], "v128"),
	"f64x2.mul": simd(242, ["v128", "v128"], "v128"),
	"f64x2.div": simd(243, ["v128", "v128"], "v128"),
	"f64x2.min": simd(244, ["v128", "v128"], "v128"),
	"f64x2.max": simd(245, ["v128", "v128"], "v128"),
	"f64x2.pmin": simd(246, ["v128", "v128"], "v128"),
	"f64x2.pmax": simd(247, ["v128", "v128"], "v128"),
	// Conversions between integer and float lanes.
	"i32x4.trunc_sat_f32x4_s": simd(248, ["v128"], "v128"),
	"i32x4.trunc_sat_f32x4_u": simd(249, ["v128"], "v128"),
	"f32x4.convert_i32x4_s": simd(250, ["v128"], "v128"),
	"f32x4.convert_i32x4_u": simd(251, ["v128"], "v128"),
	"i32x4.trunc_sat_f64x2_s_zero": simd(252, ["v128"], "v128"),
	"i32x4.trunc_sat_f64x2_u_zero": simd(253, ["v128"], "v128"),
	"f64x2.convert_low_i32x4_s": simd(254, ["v128"], "v128"),
	"f64x2.convert_low_i32x4_u": simd(255, ["v128"], "v128"),
} as const;

/** Reading or replacing one lane; the lane number is an immediate. */
export const LANE_OPCODES = {
	"i8x16.extract_lane_s": lane(21, 16, ["v128"], "i32"),
	"i8x16.extract_lane_u": lane(22, 16, ["v128"], "i32"),
	"i8x16.replace_lane": lane(23, 16, ["v128", "i32"], "v128"),
	"i16x8.extract_lane_s": lane(24, 8, ["v128"], "i32"),
	"i16x8.extract_lane_u": lane(25, 8, ["v128"], "i32"),
	"i16x8.replace_lane": lane(26, 8, ["v128", "i32"], "v128"),
	"i32x4.extract_lane": lane(27, 4, ["v128"], "i32"),
	"i32x4.replace_lane": lane(28, 4, ["v128", "i32"], "v128"),
	"i64x2.extract_lane": lane(29, 2, ["v128"], "i64"),
	"i64x2.replace_lane": lane(30, 2, ["v128", "i64"], "v128"),
	"f32x4.extract_lane": lane(31, 4, ["v128"], "f32"),
	"f32x4.replace_lane": lane(32, 4, ["v128", "f32"], "v128"),
	"f64x2.extract_lane": lane(33, 2, ["v128"], "f64"),
	"f64x2.replace_lane": lane(34, 2, ["v128", "f64"], "v128"),
} as const;

/** Loads, including the widening, splatting and zero-filling vector loads. */
export const LOAD_OPCODES = {
	"i32.load": memory([0x28], 2, "i32"),
	"i64.load": memory([0x29], 3, "i64"),
	"f32.load": memory([0x2a], 2, "f32"),
	"f64.load": memory([0x2b], 3, "f64"),
	"i32.load8_s": memory([0x2c], 0, "i32"),
	"i32.load8_u": memory([0x2d], 0, "i32"),
	"i32.load16_s": memory([0x2e], 1, "i32"),
	"i32.load16_u": memory([0x2f], 1, "i32"),
	"i64.load8_s": memory([0x30], 0, "i64"),
	"i64.load8_u": memory([0x31], 0, "i64"),
	"i64.load16_s": memory([0x32], 1, "i64"),
	"i64.load16_u": memory([0x33], 1, "i64"),
	"i64.load32_s": memory([0x34], 2, "i64"),
	"i64.load32_u": memory([0x35], 2, "i64"),
	"v128.load": memory(simdCode(0), 4, "v128"),
	"v128.load8x8_s": memory(simdCode(1), 3, "v128"),
	"v128.load8x8_u": memory(simdCode(2), 3, "v128"),
	"v128.load16x4_s": memory(simdCode(3), 3, "v128"),
	"v128.load16x4_u": memory(simdCode(4), 3, "v128"),
	"v128.load32x2_s": memory(simdCode(5), 3, "v128"),
	"v128.load32x2_u": memory(simdCode(6), 3, "v128"),
	"v128.load8_splat": memory(simdCode(7), 0, "v128"),
	"v128.load16_splat": memory(simdCode(8), 1, "v128"),
	"v128.load32_splat": memory(simdCode(9), 2, "v128"),
	"v128.load64_splat": memory(simdCode(10), 3, "v128"),
	"v128.load32_zero": memory(simdCode(92), 2, "v128"),
	"v128.load64_zero": memory(simdCode(93), 3, "v128"),
} as const;

/** Stores; the narrow ones keep the low bits of the value. */
export const STORE_OPCODES = {
	"i32.store": memory([0x36], 2, "i32"),
	"i64.store": memory([0x37], 3, "i64"),
	"f32.store": memory([0x38], 2, "f32"),
	"f64.store": memory([0x39], 3, "f64"),
	"i32.store8": memory([0x3a], 0, "i32"),
	"i32.store16": memory([0x3b], 1, "i32"),
	"i64.store8": memory([0x3c], 0, "i64"),
	"i64.store16": memory([0x3d], 1, "i64"),
	"i64.store32": memory([0x3e], 2, "i64"),
	"v128.store": memory(simdCode(11), 4, "v128"),
} as const;

/** Loads which replace one lane of the vector operand and keep the others. */
export const LOAD_LANE_OPCODES = {
	"v128.load8_lane": memoryLane(84, 0, 16),
	"v128.load16_lane": memoryLane(85, 1, 8),
	"v128.load32_lane": memoryLane(86, 2, 4),
	"v128.load64_lane": memoryLane(87, 3, 2),
} as const;

/** Stores of one lane of the vector operand. */
export const STORE_LANE_OPCODES = {
	"v128.store8_lane": memoryLane(88, 0, 16),
	"v128.store16_lane": memoryLane(89, 1, 8),
	"v128.store32_lane": memoryLane(90, 2, 4),
	"v128.store64_lane": memoryLane(91, 3, 2),
} as const;

/** Name of an instruction in {@link OPCODES}. */
export type PlainOpName = keyof typeof OPCODES;
/** Name of an instruction in {@link LANE_OPCODES}. */
export type LaneOpName = keyof typeof LANE_OPCODES;
/** Name of an instruction in {@link LOAD_OPCODES}. */
export type LoadOpName = keyof typeof LOAD_OPCODES;
/** Name of an instruction in {@link STORE_OPCODES}. */
export type StoreOpName = keyof typeof STORE_OPCODES;
/** Name of an instruction in {@link LOAD_LANE_OPCODES}. */
export type LoadLaneOpName = keyof typeof LOAD_LANE_OPCODES;
/** Name of an instruction in {@link STORE_LANE_OPCODES}. */
export type StoreLaneOpName = keyof typeof STORE_LANE_OPCODES;

/** Byte of each value type in the binary format ("Value Types"). */
export const VALUE_TYPE_CODES: Readonly<Record<ValueType, number>> = {
	i32: 0x7f,
	i64: 0x7e,
	f32: 0x7d,
	f64: 0x7c,
	v128: 0x7b,
};

/** Control, parametric, variable and table-of-functions instructions. */
export const CONTROL_OPCODES = {
	unreachable: 0x00,
	block: 0x02,
	loop: 0x03,
	if: 0x04,
	else: 0x05,
	end: 0x0b,
	br: 0x0c,
	br_if: 0x0d,
	br_table: 0x0e,
	return: 0x0f,
	call: 0x10,
	call_indirect: 0x11,
	return_call: 0x12,
	return_call_indirect: 0x13,
	drop: 0x1a,
	select: 0x1b,
	"local.get": 0x20,
	"local.set": 0x21,
	"local.tee": 0x22,
	"global.get": 0x23,
	"global.set": 0x24,
	"i32.const": 0x41,
	"i64.const": 0x42,
	"f32.const": 0x43,
	"f64.const": 0x44,
} as const;

/** Codes behind a prefix whose immediates are not a lane or a memory operand. */
export const PREFIXED_OPCODES = {
	"memory.copy": [0xfc, 10],
	"memory.fill": [0xfc, 11],
	"v128.const": [0xfd, 12],
	"i8x16.shuffle": [0xfd, 13],
} as const;
