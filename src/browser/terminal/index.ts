/**
 * The public face of `lguest/browser/terminal`: importing it defines the
 * element. It is built as one ES module with everything in it, the guest's
 * worker too, so that a page needs one file and a bundler needs no plug-in.
 *
 * Relies on the element; pages that embed a guest rely on it.
 *
 * @journey L:314 One file for a page
 */

import GuestWorker from "../guest-worker.ts?worker&inline";
import { launchIn } from "../launch-in.ts";
import { LguestTerminal } from "./lguest-terminal.ts";

export { LguestTerminal, type TerminalState } from "./lguest-terminal.ts";

LguestTerminal.launch = (options) =>
	launchIn((name) => new GuestWorker({ name }), options);
if (customElements.get("lguest-terminal") === undefined) {
	customElements.define("lguest-terminal", LguestTerminal);
}
