import { describe, expect, it } from "vitest";
import { Alarm } from "./alarm.ts";

describe("An alarm", () => {
	it("ends a sleep that would have no end", async () => {
		const alarm = new Alarm();
		setTimeout(() => alarm.wake(), 5);
		await alarm.sleep(Number.POSITIVE_INFINITY);
	});

	it("lets a sleep end by itself", async () => {
		await new Alarm().sleep(1);
	});

	it("forgets a nudge when nobody sleeps, and wakes who does", async () => {
		const alarm = new Alarm();
		alarm.nudge();
		let over = false;
		const sleep = alarm.sleep(Number.POSITIVE_INFINITY).then(() => {
			over = true;
		});
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(over).toBe(false);
		alarm.nudge();
		await sleep;
	});

	it("remembers a call that came too early, once", async () => {
		const alarm = new Alarm();
		alarm.wake();
		await alarm.sleep(Number.POSITIVE_INFINITY);
		let over = false;
		const second = alarm.sleep(Number.POSITIVE_INFINITY).then(() => {
			over = true;
		});
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(over).toBe(false);
		alarm.wake();
		await second;
	});
});
