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
	/** Why the instruction there is never compiled; undefined = it can be. */
	readonly coldReason?: string | undefined;
}

export interface KernelSymbol {
	readonly address: number;
	readonly name: string;
}

/** Text symbols in order of address; lines are `address type name`. */
export function parseSystemMap(text: string): KernelSymbol[] {
	return text
		.split("\n")
		.map((line) => /^([0-9a-f]+) [tTwW] ([^\s]+)/.exec(line))
		.filter((match) => match !== null)
		.map(([, address = "", name = ""]) => ({
			address: Number.parseInt(address, 16),
			name,
		}))
		.sort((a, b) => a.address - b.address);
}

/** The symbol at or before an address, or the address. */
export function nameOf(
	symbols: readonly KernelSymbol[],
	address: number,
): string {
	let low = 0;
	let high = symbols.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((symbols[middle] as KernelSymbol).address <= address) low = middle + 1;
		else high = middle;
	}
	return symbols[low - 1]?.name ?? `0x${address.toString(16)}`;
}

export class Profile {
	readonly #byAddress = new Map<number, number>();
	readonly #users = new Set<number>();
	readonly #byReason = new Map<string, number>();
	#user = 0;
	/** Samples in code that is not 32-bit, which is never compiled. */
	#other = 0;
	#all = 0;

	add({ address, user, codeSize, coldReason }: Hit): void {
		this.#all++;
		if (user) {
			this.#user++;
			this.#users.add(address);
		}
		if (codeSize !== 32) this.#other++;
		count(this.#byAddress, address);
		if (coldReason !== undefined) count(this.#byReason, coldReason);
	}

	/** The hottest functions, then the hottest addresses, then what is never compiled. */
	report(top: number, symbols: readonly KernelSymbol[]): string {
		const share = (n: number, digits = 1) =>
			`${((100 * n) / Math.max(1, this.#all)).toFixed(digits)} %`.padStart(7);
		const hottest = <K>(counts: ReadonlyMap<K, number>) =>
			[...counts].sort(([, a], [, b]) => b - a).slice(0, top);
		const name = (address: number) =>
			this.#users.has(address) ? userPage(address) : nameOf(symbols, address);
		const byName = new Map<string, number>();
		for (const [address, n] of this.#byAddress) count(byName, name(address), n);
		return [
			`${this.#all} samples; user mode ${share(this.#user).trim()}, not 32-bit code ${share(this.#other).trim()}`,
			"",
			...hottest(byName).map(([of, n]) => `${share(n)}  ${of}`),
			"",
			...hottest(this.#byAddress).map(
				([address, n]) =>
					`${share(n)}  ${address.toString(16).padStart(8, "0")}  ${name(address)}`,
			),
			"",
			"never compiled:",
			...hottest(this.#byReason).map(([why, n]) => `${share(n, 2)}  ${why}`),
		].join("\n");
	}
}

function count<K>(counts: Map<K, number>, key: K, times = 1): void {
	counts.set(key, (counts.get(key) ?? 0) + times);
}

/** Programs have no symbols here: a page is as good a name as any. */
function userPage(address: number): string {
	return `user ${(address >>> 12).toString(16)}000`;
}
