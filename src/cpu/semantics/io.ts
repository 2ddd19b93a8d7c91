/**
 * IN and OUT. Ports belong to devices, so the whole of it, privilege
 * included, is a system operation; string I/O is in `string.ts`. A device may
 * answer with an interrupt, or want the run loop: the instruction ends first.
 *
 * @journey E:338 Ports
 */

import { SYSTEM_RESULT } from "../state.ts";
import type { Semantics, SemanticsTable } from "./emitter.ts";
import { pair, state32 } from "./integer-values.ts";
import { leaveIfAsked } from "./stack.ts";

const inPort: Semantics = (e, form) => {
	const [destination, port] = pair(form);
	e.system("IN", e.wrap(port.read()), e.i32(destination.width / 8));
	destination.write(state32(e, SYSTEM_RESULT));
	leaveIfAsked(e);
};

const outPort: Semantics = (e, form) => {
	const [port, source] = pair(form);
	const bytes = e.i32(source.width / 8);
	e.system("OUT", e.wrap(port.read()), bytes, e.wrap(source.read()));
	leaveIfAsked(e);
};

export const IO: SemanticsTable = { IN: inPort, OUT: outPort };
