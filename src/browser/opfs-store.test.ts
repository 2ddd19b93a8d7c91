import { describe, expect, it } from "vitest";
import { StorageFullError, UsageError } from "../index.ts";
import {
	folderError,
	OpfsStore,
	type SyncAccessHandle,
	storageError,
} from "./opfs-store.ts";

/** A file with room for so many bytes, of which each write takes 1000 at most. */
class FakeHandle implements SyncAccessHandle {
	bytes = new Uint8Array(0);
	readonly #room: number;
	readonly #whenFull: () => number;

	constructor(room: number, whenFull = refuse) {
		this.#room = room;
		this.#whenFull = whenFull;
	}

	read(target: Uint8Array, { at }: { at: number }): number {
		const part = this.bytes.subarray(at, at + target.length);
		target.set(part);
		return part.length;
	}

	write(source: Uint8Array, { at }: { at: number }): number {
		const part = source.subarray(0, 1000);
		if (at + part.length > this.#room) return this.#whenFull();
		const larger = new Uint8Array(
			Math.max(this.bytes.length, at + part.length),
		);
		larger.set(this.bytes);
		larger.set(part, at);
		this.bytes = larger;
		return part.length;
	}

	flush(): void {}

	getSize(): number {
		return this.bytes.length;
	}

	truncate(sizeBytes: number): void {
		this.bytes = this.bytes.slice(0, sizeBytes);
	}

	close(): void {}
}

/** As the standard has it. */
function refuse(): number {
	throw new DOMException("No space.", "QuotaExceededError");
}

describe("A store in OPFS", () => {
	it("writes all that it is given, and reads zeroes behind its end", async () => {
		const store = new OpfsStore(new FakeHandle(10_000), "d");
		await store.write(500, new Uint8Array(2500).fill(7));
		expect(store.sizeBytes).toBe(3000);
		const target = new Uint8Array(20).fill(1);
		await store.read(2990, target);
		expect([...target]).toEqual([...Array(10).fill(7), ...Array(10).fill(0)]);
	});

	it.each([
		["refuses", refuse],
		["writes nothing", () => 0],
		["returns -8 without its sign", () => 2 ** 32 - 8],
	])(
		"says ENOSPC where a full browser %s, and keeps what it had",
		async (_, whenFull) => {
			const store = new OpfsStore(new FakeHandle(1500, whenFull), "d");
			await store.write(0, new Uint8Array(1000).fill(3));
			const refused = store.write(1000, new Uint8Array(1000));
			await expect(refused).rejects.toBeInstanceOf(StorageFullError);
			await expect(refused).rejects.toMatchObject({ code: "ENOSPC" });
			expect(store.sizeBytes).toBe(1000);
		},
	);

	it("is empty when cleared, with room for something else", async () => {
		const handle = new FakeHandle(1500);
		const store = new OpfsStore(handle, "d");
		await store.write(0, new Uint8Array(1500).fill(3));
		store.clear();
		expect([store.sizeBytes, handle.getSize()]).toEqual([0, 0]);
		await store.write(500, new Uint8Array(1000).fill(4));
		const target = new Uint8Array(502);
		await store.read(0, target);
		expect([...target.subarray(498)]).toEqual([0, 0, 4, 4]);
	});
});

describe("A browser's refusal", () => {
	it("to have a folder is for all, for want of room, or for a reason", () => {
		const refused = (name: string) =>
			folderError(new DOMException("No.", name));
		const none = "This browser keeps no files for this page.";
		expect(refused("SecurityError").message).toBe(none);
		// Where there is no `navigator.storage` at all.
		expect(folderError(new TypeError("undefined")).message).toBe(none);
		expect(refused("QuotaExceededError")).toBeInstanceOf(StorageFullError);
		const other = refused("UnknownError");
		expect(other.message).toBe("The browser's files cannot be had: No.");
		expect(other.hint).toContain("Private windows");
	});

	it("is another tab's lock, a full storage, or neither", () => {
		const named = (name: string) =>
			storageError("d", new DOMException("why", name));
		expect(named("NoModificationAllowedError")).toBeInstanceOf(UsageError);
		expect(named("NoModificationAllowedError").message).toContain("in use");
		expect(named("QuotaExceededError")).toBeInstanceOf(StorageFullError);
		const other = named("InvalidStateError");
		expect(other).not.toBeInstanceOf(UsageError);
		expect(other).not.toBeInstanceOf(StorageFullError);
		expect(other.message).toContain("why");
	});
});
