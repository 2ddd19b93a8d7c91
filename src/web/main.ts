/**
 * The page: guests side by side, as the link says, and what holds for all.
 *
 * Relies on the panels; the browser relies on it.
 *
 * @journey L:334 A page of guests
 */

import { startWorker } from "../browser/launch.ts";
import { launchIn } from "../browser/launch-in.ts";
import { LguestTerminal } from "../browser/terminal/lguest-terminal.ts";
import { GuestPanel } from "./guest-panel.ts";
import {
	DEFAULT_SETUP,
	fragmentOf,
	type GuestSetup,
	setupsOf,
} from "./setup.ts";

const SCHEME_KEY = "lguest-scheme";
const SPEAK_KEY = "lguest-speak";

LguestTerminal.launch = (options) => launchIn(startWorker, options);
customElements.define("lguest-terminal", LguestTerminal);

/** What index.html has. */
function byId<Element extends HTMLElement>(id: string): Element {
	return document.getElementById(id) as Element;
}

const guests = byId("guests");
const notice = byId("notice");
const scheme = byId<HTMLSelectElement>("scheme");
const speak = byId<HTMLInputElement>("speak");
const panels: GuestPanel[] = [];
let count = 0;

function add(setup: GuestSetup): void {
	count++;
	const panel = new GuestPanel(count, setup, { onRemove: remove });
	panels.push(panel);
	panel.setScheme(scheme.value);
	panel.setScreenReader(speak.checked);
	guests.append(panel.element);
}

function remove(panel: GuestPanel): void {
	panels.splice(panels.indexOf(panel), 1);
	panel.element.remove();
}

async function share(): Promise<void> {
	const link = new URL(location.href);
	link.hash = fragmentOf(panels.map(({ setup }) => setup));
	history.replaceState(undefined, "", link);
	try {
		await navigator.clipboard.writeText(link.href);
		notice.textContent = "The link is copied. Files of yours are not in it.";
	} catch {
		notice.textContent =
			"The link is in the address bar. Files of yours are not in it.";
	}
}

function paint(): void {
	document.documentElement.dataset.scheme = scheme.value;
	for (const panel of panels) {
		panel.setScheme(scheme.value);
		panel.setScreenReader(speak.checked);
	}
	localStorage.setItem(SCHEME_KEY, scheme.value);
	localStorage.setItem(SPEAK_KEY, speak.checked ? "yes" : "");
}

scheme.value = localStorage.getItem(SCHEME_KEY) ?? "";
speak.checked = localStorage.getItem(SPEAK_KEY) === "yes";
scheme.onchange = paint;
speak.onchange = paint;
byId("add").onclick = () =>
	add({ ...DEFAULT_SETUP, net: panels[0]?.setup.net ?? "" });
byId("share").onclick = () => void share();
for (const setup of setupsOf(location.hash.slice(1))) add(setup);
paint();
