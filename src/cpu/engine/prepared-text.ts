/**
 * Where a program's prepared code stands. There is none in the sources: what
 * builds programs puts `scripts/prepared-code.ts`'s in place of this file.
 *
 * @journey E:484 A place for it
 */

import type { PreparedText } from "./prepared-code.ts";

export const PREPARED_TEXT: PreparedText | undefined = undefined;
