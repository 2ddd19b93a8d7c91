/**
 * The x87's whole chapter of the book of meanings.
 *
 * @journey E:650 The coprocessor, assembled
 */

import type { SemanticsTable } from "./emitter.ts";
import { X87_ARITHMETIC } from "./x87-arithmetic.ts";
import { X87_COMPARE } from "./x87-compare.ts";
import { X87_ENVIRONMENT } from "./x87-environment.ts";
import { X87_TRANSFER } from "./x87-transfer.ts";

export const x87Semantics: SemanticsTable = {
	...X87_TRANSFER,
	...X87_ARITHMETIC,
	...X87_COMPARE,
	...X87_ENVIRONMENT,
};
