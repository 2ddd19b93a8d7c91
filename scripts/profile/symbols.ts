/**
 * Counts samples of the instruction pointer and names them by a System.map.
 *
 * @journey M:813 Addresses with names
 */

/** Where the CPU was. */
export interface Hit {
	readonly address: number;
	readonly user: boolean;
	readonly codeSize: 16 | 32 | 64;
}

interface KernelSymbol {
	readonly address: number;
	readonly name: string;
}

/** Text symbols in order of address; lines are `address type name`. */
export function parseSystemMap(text: string): KernelSymbol[] {
	return text
		.split("\n")
		.map((line) => /^([0-9a-f]+) [tTwW] (\S+)$/.exec(line))
		.filter((match) => match !== null)
		.map(([, address = "", name = ""]) => ({
			address: Number.parseInt(address, 16),
			name,
		}))
		.sort((a, b) => a.address - b.address);
}

export class Profile {
	readonly #symbols: readonly KernelSymbol[];
	readonly #byName = new Map<string, number>();
	readonly #byAddress = new Map<number, number>();
	#user = 0;
	/** Samples in code that is not 32-bit, which is never compiled. */
	#other = 0;
	#all = 0;

	constructor(symbols: readonly KernelSymbol[]) {
		this.#symbols = symbols;
	}

	add({ address, user, codeSize }: Hit): void {
		this.#all++;
		if (user) this.#user++;
		if (codeSize !== 32) this.#other++;
		const name = user ? userPage(address) : this.nameOf(address);
		this.#byName.set(name, (this.#byName.get(name) ?? 0) + 1);
		const times = (this.#byAddress.get(address) ?? 0) + 1;
		this.#byAddress.set(address, times);
	}

	/** The symbol at or before an address, or the address. */
	nameOf(address: number): string {
		let low = 0;
		let high = this.#symbols.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.#symbols[middle] as KernelSymbol).address <= address)
				low = middle + 1;
			else high = middle;
		}
		return this.#symbols[low - 1]?.name ?? `0x${address.toString(16)}`;
	}

	/** The hottest functions, then the hottest addresses. */
	report(top: number): string {
		const share = (n: number) =>
			`${((100 * n) / Math.max(1, this.#all)).toFixed(1)} %`.padStart(7);
		const hottest = <K>(counts: ReadonlyMap<K, number>) =>
			[...counts].sort(([, a], [, b]) => b - a).slice(0, top);
		return [
			`${this.#all} samples; user mode ${share(this.#user).trim()}, not 32-bit code ${share(this.#other).trim()}`,
			"",
			...hottest(this.#byName).map(([name, n]) => `${share(n)}  ${name}`),
			"",
			...hottest(this.#byAddress).map(
				([address, n]) =>
					`${share(n)}  ${address.toString(16).padStart(8, "0")}  ${this.nameOf(address)}`,
			),
		].join("\n");
	}
}

/** Programs have no symbols here: a page is as good a name as any. */
function userPage(address: number): string {
	return `user ${(address >>> 12).toString(16)}000`;
}
