/**
 * The form in which a guest is set up: what a link can say, and files of the
 * user's own.
 *
 * Relies on the set-up; the guest's panel relies on it.
 *
 * @journey L:330 Your own kernel, please
 */

import { button, element, field } from "./dom.ts";
import type { FileRole } from "./dropped.ts";
import { type GuestSetup, MEMORY_MIB, type OwnFiles } from "./setup.ts";

type TextName =
	| "kernel"
	| "initrd"
	| "append"
	| "disk"
	| "keep"
	| "net"
	| "address";

/** What its owner is told. */
export interface FormListeners {
	readonly onChange: () => void;
	readonly onRestart: () => void;
}

/** Fields and their values. */
export class SetupForm {
	readonly element = element("form", { className: "setup" });
	readonly #memory = element("select");
	readonly #blank = element("input", { type: "number", min: "0", step: "1" });
	readonly #texts = new Map<TextName, HTMLInputElement>();
	readonly #files = new Map<FileRole, HTMLInputElement>();
	readonly #start: GuestSetup["start"];

	constructor(setup: GuestSetup, address: string, listeners: FormListeners) {
		this.#start = setup.start;
		for (const mib of MEMORY_MIB) {
			const selected = mib === setup.memory;
			const option = element(
				"option",
				{ value: `${mib}`, selected },
				`${mib} MiB`,
			);
			this.#memory.append(option);
		}
		this.#blank.value = setup.blank === 0 ? "" : `${setup.blank}`;
		this.element.append(
			field("Memory", this.#memory),
			this.#text("append", "Words for the kernel", setup),
			this.#file("kernel", "Kernel: a file of yours"),
			this.#text("kernel", "Kernel: its address", setup),
			this.#file("initrd", "Initrd: a file of yours"),
			this.#text("initrd", "Initrd: its address", setup),
			this.#file("disk", "Disks: files of yours"),
			this.#text("disk", "Disk: its address", setup),
			field("Empty disk, MiB", this.#blank),
			this.#text(
				"keep",
				"Keep what is written to disks as",
				setup,
				"nothing is kept",
			),
			this.#text("net", "Network: name of a switch", setup, "no network"),
			this.#text("address", "Network: address", setup, address),
			button("Start with this", listeners.onRestart),
		);
		this.element.addEventListener("change", listeners.onChange);
		this.element.addEventListener("submit", (event) => {
			event.preventDefault();
			listeners.onRestart();
		});
	}

	get setup(): GuestSetup {
		const text = (name: TextName) => this.#texts.get(name)?.value.trim() ?? "";
		return {
			memory: Number(this.#memory.value),
			kernel: text("kernel"),
			initrd: text("initrd"),
			append: text("append"),
			disk: text("disk"),
			blank: Math.max(0, Math.floor(Number(this.#blank.value)) || 0),
			keep: text("keep"),
			net: text("net"),
			address: text("address"),
			start: this.#start,
		};
	}

	get files(): OwnFiles {
		const of = (role: FileRole) => [...(this.#files.get(role)?.files ?? [])];
		const [kernel] = of("kernel");
		const [initrd] = of("initrd");
		return {
			...(kernel !== undefined && { kernel }),
			...(initrd !== undefined && { initrd }),
			disks: of("disk"),
		};
	}

	/** As if the user had chosen it; the field shows it. */
	choose(role: FileRole, file: File): void {
		const input = this.#files.get(role);
		if (input === undefined) return;
		const transfer = new DataTransfer();
		transfer.items.add(file);
		input.files = transfer.files;
	}

	#text(
		name: TextName,
		label: string,
		setup: GuestSetup,
		placeholder = "",
	): HTMLElement {
		const value = setup[name];
		const input = element("input", { type: "text", name, value, placeholder });
		this.#texts.set(name, input);
		return field(label, input);
	}

	#file(role: FileRole, label: string): HTMLElement {
		const multiple = role === "disk";
		const input = element("input", {
			type: "file",
			name: `${role}-file`,
			multiple,
		});
		this.#files.set(role, input);
		return field(label, input);
	}
}
