/**
 * Where the next instruction is: from CS:RIP through segment and page tables to
 * its decoded record.
 *
 * @journey S:104 From RIP to a record
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import type { CodeCache } from "./engine/code-cache.ts";
import { raise, VECTOR_GP, VECTOR_UD } from "./exceptions.ts";
import { linear64 } from "./mmu/linear-address.ts";
import type { Mmu } from "./mmu/mmu.ts";
import { modeCodeSize } from "./mode.ts";
import {
	MODE,
	RIP,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	segmentOffset,
} from "./state.ts";
import type { StateView } from "./state-view.ts";

const PAGE = 4096;
/** Number of the CS register. */
const CS = 1;

export class InstructionFetch {
	readonly #state: StateView;
	readonly #mmu: Mmu;
	readonly #memory: GuestMemory;
	readonly #code: CodeCache;
	/** Where code was last asked for. */
	#linear = 0;

	constructor(
		state: StateView,
		mmu: Mmu,
		memory: GuestMemory,
		code: CodeCache,
	) {
		this.#state = state;
		this.#mmu = mmu;
		this.#memory = memory;
		this.#code = code;
	}

	/** Linear address of CS:RIP; raises #GP beyond the segment's limit. */
	linearAddress(): number {
		const state = this.#state;
		if (modeCodeSize(state.get32(MODE)) === 64) {
			const high = Number(state.getBig(RIP) >> 32n) | 0;
			return linear64(state.get32(RIP), high, 1, segmentOffset(CS));
		}
		const rip = state.getWide(RIP);
		const limit = state.view.getUint32(
			state.segmentAt(CS, SEGMENT_LIMIT),
			true,
		);
		if (rip > limit) raise(VECTOR_GP, 0);
		const base = state.view.getUint32(state.segmentAt(CS, SEGMENT_BASE), true);
		return (base + rip) >>> 0;
	}

	/**
	 * Physical address for fetching at a linear one; undefined = it would fault,
	 * or is no RAM. No instruction is run by asking, so CR2 stays as it is: a
	 * handler may be about to read it.
	 */
	tryPhysical(linear: number): number | undefined {
		const physical = this.#mmu.tryFetchAddress(linear);
		const isRam = physical >= 0 && physical < this.#memory.sizeBytes;
		return isRam ? physical : undefined;
	}

	/** Address of the record at CS:RIP, decoded if need be; raises what fetching raises. */
	record(): number {
		this.#linear = this.linearAddress();
		const physical = this.#physical(this.#linear);
		const mode = this.#state.get32(MODE);
		return this.#code.find(physical, mode, this.#nextPage);
	}

	/** Of the page behind the one that code is being decoded in. */
	readonly #nextPage = (): number => {
		const left = PAGE - (this.#linear % PAGE);
		return this.#physical(this.#mmu.after(this.#linear, left));
	};

	/** Code outside RAM has no meaning. */
	#physical(linear: number): number {
		const physical = this.#mmu.fetchAddress(linear);
		if (physical >= this.#memory.sizeBytes) raise(VECTOR_UD);
		return physical;
	}
}
