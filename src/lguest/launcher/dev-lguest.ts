/**
 * What was `/dev/lguest`: the Launcher writes words to it, and reads to let the
 * Guest run. The words are those of `lguest_launcher.h`, so this file can be
 * held beside it; in front of them stand functions, which our own Launcher uses.
 *
 * | write                                   | is                                |
 * | --------------------------------------- | --------------------------------- |
 * | LHREQ_INITIALIZE base pfnlimit start     | `initialize`; base means nothing  |
 * | … base pfnlimit pgdir start              | the same, up to 2.6.28            |
 * | LHREQ_IRQ irq                           | `irq`                             |
 * | LHREQ_BREAK on                          | `break`                           |
 * | LHREQ_EVENTFD address fd                | `onNotify`, with a function       |
 *
 * Relies on the Host; the machine relies on it.
 *
 * @journey L:415 /dev/lguest
 */

import type { Cpu } from "../../cpu/index.ts";
import {
	LGUEST_IRQS,
	LHREQ_BREAK,
	LHREQ_EVENTFD,
	LHREQ_INITIALIZE,
	LHREQ_IRQ,
} from "../abi.ts";
import { Guest, type GuestWires } from "../host/guest.ts";

/** What Linux's `errno.h` calls them; `write` returns them negated. */
export const ENOENT = 2;
export const EBUSY = 16;
export const EINVAL = 22;

const WORD_BYTES = 4;

/** Why `run` came back. */
export type RunResult =
	/** NOTIFY with an address that nobody listens to; the Guest waits for the next `run`. */
	| { readonly kind: "notify"; readonly address: number }
	/** HALT, and nothing to wake it yet. */
	| { readonly kind: "halted" }
	/** So many instructions were executed, or somebody wants a look. */
	| { readonly kind: "budget" }
	| { readonly kind: "break" }
	| { readonly kind: "dead"; readonly reason: string }
	| { readonly kind: "restart" };

/** What the Launcher knows of the Guest that words never said. */
export interface GuestSizes {
	readonly ramBytes: number;
	readonly initrdBytes: number;
	readonly tscKhz: number;
}

/** One Guest's `/dev/lguest`. */
export class DevLguest {
	guest: Guest | undefined;
	/** What LHREQ_EVENTFD's file descriptors mean is the Launcher's to say. */
	onEvent: (fileDescriptor: number) => void = () => {};
	readonly #cpu: Cpu;
	readonly #sizes: GuestSizes;
	readonly #wires: GuestWires;
	readonly #listeners = new Map<number, () => void>();
	#isBroken = false;

	/** `wires.notify` is asked for addresses that nobody listens to. */
	constructor(cpu: Cpu, sizes: GuestSizes, wires: GuestWires) {
		this.#cpu = cpu;
		this.#sizes = sizes;
		this.#wires = wires;
	}

	/** A request in words; the value is as the system call's. */
	write(request: readonly number[]): number {
		const [number, ...words] = request;
		if (number === LHREQ_INITIALIZE) return this.#initialize(words);
		if (this.guest === undefined) return -EINVAL;
		if (this.guest.isDead) return -ENOENT;
		const [first, second = 0] = words;
		if (first === undefined) return -EINVAL;
		switch (number) {
			case LHREQ_IRQ:
				return this.irq(first) ? 0 : -EINVAL;
			case LHREQ_BREAK:
				this.break(first !== 0);
				return 0;
			case LHREQ_EVENTFD:
				if (first === 0) return -EINVAL;
				this.onNotify(first, () => this.onEvent(second));
				return 0;
			default:
				return -EINVAL;
		}
	}

	/** Makes the Guest. Once only. */
	initialize(pfnLimit: number, start: number, pgdir?: number): void {
		const options = {
			...this.#sizes,
			...{ pfnLimit, start },
			...(pgdir !== undefined && { pgdir }),
		};
		this.guest = new Guest(this.#cpu, options, {
			...this.#wires,
			notify: (address) => this.#notify(address),
		});
	}

	/** Raises an interrupt, once; false if there is no such. */
	irq(number: number): boolean {
		if (number >>> 0 >= LGUEST_IRQS) return false;
		this.guest?.raise(number);
		return true;
	}

	/** While on, `run` comes back at once. */
	break(on: boolean): void {
		this.#isBroken = on;
		if (on) this.#cpu.requestExit();
	}

	/** Calls `listener` at each NOTIFY of exactly this address; the Guest runs on. */
	onNotify(address: number, listener: () => void): void {
		this.#listeners.set(address, listener);
	}

	/** Lets the Guest run for at most so many instructions. */
	run(budget: number): RunResult {
		const { guest } = this;
		if (guest === undefined) return { kind: "break" };
		if (guest.hasUnansweredNotify) guest.answerNotify();
		if (guest.death !== undefined) return guest.death;
		if (this.#isBroken) return { kind: "break" };
		const reason = guest.hasUnansweredNotify
			? "requested"
			: this.#cpu.run(budget);
		if (guest.death !== undefined) return guest.death;
		const address = guest.unansweredNotify;
		if (address !== undefined) return { kind: "notify", address };
		if (this.#isBroken) return { kind: "break" };
		return { kind: reason === "halt" ? "halted" : "budget" };
	}

	#initialize(words: readonly number[]): number {
		if (this.guest !== undefined) return -EBUSY;
		const [, pfnLimit, third, fourth] = words;
		if (pfnLimit === undefined || third === undefined) return -EINVAL;
		if (fourth === undefined) this.initialize(pfnLimit, third);
		else this.initialize(pfnLimit, fourth, third);
		return words.length * WORD_BYTES;
	}

	#notify(address: number): boolean {
		const listener = this.#listeners.get(address);
		if (listener === undefined) return this.#wires.notify(address);
		listener();
		return true;
	}
}
