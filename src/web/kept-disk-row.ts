/**
 * Buttons for a guest's kept disk: save it to a file, restore it from one,
 * forget it.
 *
 * Relies on `lguest/browser`; the guest's panel relies on it.
 *
 * @journey L:331 Take it with you
 */

import {
	readKeptDisk,
	removeKeptDisk,
	writeKeptDisk,
} from "../browser/index.ts";
import { describeError } from "../browser/terminal/describe.ts";
import { button, download, element } from "./dom.ts";

/** What it needs of the panel. */
export interface KeptDiskOwner {
	/** Of the kept disk; empty = none. */
	readonly name: () => string;
	/** Whether no guest has it. */
	readonly isFree: () => boolean;
	readonly onMessage: (text: string) => void;
}

/** A row of buttons. */
export class KeptDiskRow {
	readonly element = element("div", { className: "row" });
	readonly #owner: KeptDiskOwner;

	constructor(owner: KeptDiskOwner) {
		this.#owner = owner;
		const picker = element("input", {
			type: "file",
			name: "restore",
			hidden: true,
		});
		picker.onchange = () => {
			const [image] = picker.files ?? [];
			picker.value = "";
			if (image !== undefined) {
				void this.#act("restored", (name) => writeKeptDisk(name, image));
			}
		};
		this.element.append(
			button("Save the kept disk", () => void this.#act("saved", save)),
			button("Restore it", () => picker.click()),
			button("Forget it", () => void this.#act("forgotten", removeKeptDisk)),
			picker,
		);
	}

	async #act(
		done: string,
		act: (name: string) => Promise<void>,
	): Promise<void> {
		const { name, isFree, onMessage } = this.#owner;
		if (name() === "") {
			onMessage(
				"No disk of this guest is kept: give it a name in the set-up first.",
			);
			return;
		}
		if (!isFree()) {
			onMessage("The guest has its disk. Stop it first.");
			return;
		}
		try {
			await act(name());
			onMessage(`The disk "${name()}" is ${done}.`);
		} catch (error) {
			onMessage(describeError(error));
		}
	}
}

async function save(name: string): Promise<void> {
	download(await readKeptDisk(name), `${name}.qcow2`);
}
