/**
 * Exception vectors and the one way in which TypeScript code raises them:
 * `raise` throws, and the border to generated code (or interrupt delivery)
 * catches.
 *
 * @journey E:230 When an instruction cannot
 */

/** Vectors by mnemonic (Intel SDM vol. 3, "Exceptions and Interrupts Vectors"). */
export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_NMI = 2;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_BR = 5;
export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_DF = 8;
export const VECTOR_TS = 10;
export const VECTOR_NP = 11;
export const VECTOR_SS = 12;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;
export const VECTOR_MF = 16;
export const VECTOR_AC = 17;
export const VECTOR_MC = 18;
export const VECTOR_XM = 19;

/** Page-fault error code bits. */
export const PF_PRESENT = 1 << 0;
export const PF_WRITE = 1 << 1;
export const PF_USER = 1 << 2;
export const PF_RESERVED = 1 << 3;
export const PF_FETCH = 1 << 4;

/** An exception on its way to the guest. Not an Error: no stack, cheap to throw. */
export class GuestFault {
	readonly vector: number;
	readonly errorCode: number | undefined;

	constructor(vector: number, errorCode: number | undefined) {
		this.vector = vector;
		this.errorCode = errorCode;
	}
}

/** Ends whatever the CPU is doing with an exception; page faults have set CR2 before. */
export function raise(vector: number, errorCode?: number): never {
	throw new GuestFault(vector, errorCode);
}

/** What was caught, if it is the guest's fault; anything else is a defect of ours and goes on up. */
export function asFault(thrown: unknown): GuestFault {
	if (thrown instanceof GuestFault) return thrown;
	throw thrown;
}
