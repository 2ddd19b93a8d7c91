/**
 * Elements in one expression: the page makes all of itself from them.
 *
 * Relies on the DOM; the page's parts rely on it.
 *
 * @journey L:320 Building blocks
 */

/** An element with properties and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
	tag: Tag,
	properties: Partial<HTMLElementTagNameMap[Tag]> = {},
	...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
	const made = Object.assign(document.createElement(tag), properties);
	made.append(...children);
	return made;
}

/** A labelled field of a form; the label's text comes first. */
export function field(label: string, control: HTMLElement): HTMLLabelElement {
	return element("label", {}, label, control);
}

/** A button that does `onclick`. */
export function button(text: string, onclick: () => void): HTMLButtonElement {
	return element("button", { type: "button", onclick }, text);
}

/** Gives the user a file. */
export function download(file: Blob, name: string): void {
	const url = URL.createObjectURL(file);
	element("a", { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
