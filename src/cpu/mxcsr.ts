/**
 * Bits of MXCSR, the one word that controls SSE arithmetic and collects its
 * complaints. Semantics and kernels of SSE rely on it, and whoever loads or
 * saves the register.
 *
 * @journey E:660 One word of manners
 * Where the x87 has a control word and a status word, SSE has both in one, and
 * it never reports late: an exception that is not masked stops the very
 * instruction that raised it, before it has written anything.
 */

/** Sticky exception flags (Intel SDM vol. 1, "MXCSR Control and Status Register"). */
export const MXCSR_IE = 1 << 0;
export const MXCSR_DE = 1 << 1;
export const MXCSR_ZE = 1 << 2;
export const MXCSR_OE = 1 << 3;
export const MXCSR_UE = 1 << 4;
export const MXCSR_PE = 1 << 5;
/** Denormal operands count as zeros. */
export const MXCSR_DAZ = 1 << 6;
/** The masks stand this many bits above the flags. */
export const MXCSR_MASK_SHIFT = 7;
export const MXCSR_UM = MXCSR_UE << MXCSR_MASK_SHIFT;
export const MXCSR_OM = MXCSR_OE << MXCSR_MASK_SHIFT;
export const MXCSR_FLAGS = 0x3f;
/** Raised by looking at the operands; they win over what only the result shows. */
export const MXCSR_EARLY_FLAGS = MXCSR_IE | MXCSR_DE | MXCSR_ZE;
/** Rounding control, two bits, encoded as in the x87 control word. */
export const MXCSR_RC_SHIFT = 13;
/** Underflowing results become zeros, if underflow is masked. */
export const MXCSR_FTZ = 1 << 15;
/** At reset: everything masked, to nearest. */
export const MXCSR_INITIAL = 0x1f80;
/** Bits that may be set; the rest raise #GP(0) when loaded (what FXSAVE reports as MXCSR_MASK). */
export const MXCSR_WRITABLE = 0xffff;

/** Element of FLOAT_SCRATCH where kernels leave the flags they raised; zero between instructions. */
export const SCRATCH_RAISED = 15;
