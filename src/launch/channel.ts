/**
 * The wire between the caller's thread and the thread that a guest runs on, and
 * what an embedder must bring so that there is one. Messages are structured
 * clones: no functions, no classes of ours.
 *
 * Relies on nothing; both ends, and the embedders, rely on it.
 *
 * @journey L:200 A wire to another thread
 */

/** One end of the wire. What is sent arrives, in order. */
export interface Channel {
	/** The arrays in `transfer` change owner, which saves a copy. */
	post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
	/** Set by whoever uses this end. */
	onMessage: (message: unknown) => void;
}

/** The caller's end, with power over the other. */
export interface WorkerChannel extends Channel {
	/** Set by the guest's handle: the worker is gone, and nobody asked for it. */
	onDeath: (cause: unknown) => void;
	/** Ends the worker, whatever it is doing; resolves when its memory is free. */
	terminate(): Promise<void>;
}

/** What `launch` needs from an embedder in the caller's thread. */
export interface Platform {
	/** Starts a worker that runs `serveGuest`. */
	startWorker(): WorkerChannel;
}
