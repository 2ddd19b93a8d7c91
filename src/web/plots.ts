/**
 * Three small plots of how a guest is doing, a reading each second.
 *
 * Relies on the rates; the guest's panel relies on it.
 *
 * @journey L:326 A pulse
 */

import type { Guest } from "../browser/index.ts";
import { element } from "./dom.ts";
import { type Rates, type Reading, ratesBetween } from "./rates.ts";

const EVERY_MS = 1000;
const POINTS = 60;
const HEIGHT = 20;
const SVG = "http://www.w3.org/2000/svg";

/** One curve with its name and newest value in words. */
class Plot {
	readonly figure = element("figure");
	readonly #caption = element("figcaption");
	readonly #svg = document.createElementNS(SVG, "svg");
	readonly #path = document.createElementNS(SVG, "path");
	readonly #name: string;
	readonly #describe: (value: number) => string;
	/** The curve's top; undefined = the largest value shown. */
	readonly #top: number | undefined;
	#values: number[] = [];

	constructor(name: string, describe: (value: number) => string, top?: number) {
		this.#name = name;
		this.#describe = describe;
		this.#top = top;
		this.#svg.setAttribute("viewBox", `0 0 ${POINTS - 1} ${HEIGHT}`);
		this.#svg.setAttribute("preserveAspectRatio", "none");
		this.#svg.setAttribute("aria-hidden", "true");
		this.#svg.append(this.#path);
		this.figure.append(this.#svg, this.#caption);
		this.#caption.textContent = name;
	}

	add(value: number): void {
		this.#values = [...this.#values, value].slice(-POINTS);
		this.#caption.textContent = `${this.#name}: ${this.#describe(value)}`;
		const top = this.#top ?? Math.max(1e-9, ...this.#values);
		const left = POINTS - this.#values.length;
		const points = this.#values.map((one, index) => {
			const y = HEIGHT - Math.min(1, one / top) * (HEIGHT - 1);
			return `${left + index},${y.toFixed(1)}`;
		});
		this.#path.setAttribute("d", `M${points.join("L")}`);
	}
}

/** For one guest after another. */
export class Plots {
	readonly element = element("div", { className: "plots" });
	readonly #speed = new Plot(
		"Speed",
		(value) => `${short(value)} instructions/s`,
	);
	readonly #hot = new Plot(
		"Compiled",
		(value) => `${Math.round(value * 100)} %`,
		1,
	);
	readonly #devices = new Plot(
		"Devices",
		(value) => `${short(value)} events/s`,
	);

	constructor() {
		const plots = [this.#speed, this.#hot, this.#devices];
		this.element.append(...plots.map(({ figure }) => figure));
	}

	/** Reads its counters until it ends. */
	async follow(guest: Guest): Promise<void> {
		let [last, lastMs]: [Reading | undefined, number] = [undefined, 0];
		for (;;) {
			// A guest that has ended has no counters.
			const now = await guest.statistics().catch(() => undefined);
			if (now === undefined) return;
			const nowMs = performance.now();
			if (last !== undefined && !document.hidden) {
				this.#show(ratesBetween(last, now, (nowMs - lastMs) / 1000));
			}
			[last, lastMs] = [now, nowMs];
			await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
		}
	}

	#show(rates: Rates): void {
		this.#speed.add(rates.instructionsPerSecond);
		this.#hot.add(rates.hotShare);
		this.#devices.add(rates.deviceEventsPerSecond);
	}
}

const compact = new Intl.NumberFormat("en", {
	notation: "compact",
	maximumSignificantDigits: 3,
});

function short(value: number): string {
	return compact.format(value);
}
