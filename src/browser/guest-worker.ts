/**
 * The program of a guest's Web Worker. It is small, so that the guest's files
 * are on their way while the large rest of it is still being loaded.
 *
 * Relies on `downloads.ts`, and on `guest-thread.ts` for all else; `launch.ts`
 * starts it.
 *
 * @journey L:288 A worker for a guest
 */

import { downloads } from "./downloads.ts";

/** As much of a worker's global scope as is used: the DOM library has only windows. */
interface WorkerScope {
	onmessage: ((event: MessageEvent<unknown>) => void) | null;
}

const scope = self as unknown as WorkerScope;
const early: MessageEvent<unknown>[] = [];
scope.onmessage = (event) => {
	downloads.expect(event.data);
	early.push(event);
};

import("./guest-thread.ts")
	.then(({ serve }) => {
		const receive = serve();
		scope.onmessage = receive;
		for (const event of early) receive(event);
	})
	// The page learns of it as of any other that nobody has caught here.
	.catch(reportError);
