/**
 * The default guest on a real terminal, which tmux plays: keys reach the guest
 * raw, its window follows ours, and the terminal is as it was when lguest ends
 * or is killed. Relies on tmux, the default guest and the built program.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../scripts/sources.ts";
import { CLI } from "../boot/engines.ts";

const MINUTES = 60_000;
const hasTmux = spawnSync("tmux", ["-V"]).status === 0;
const hasGuest =
	process.env.LGUEST_GUEST !== undefined ||
	existsSync(join(projectRoot, "guests/default/vmlinuz"));
const SERVER = `lguest-test-${process.pid}`;

function tmux(...args: string[]): string {
	return execFileSync("tmux", ["-L", SERVER, ...args], { encoding: "utf8" });
}

const screen = () => tmux("capture-pane", "-p", "-S", "-100");
const type = (keys: string) => tmux("send-keys", "-l", keys);
const press = (...keys: string[]) => tmux("send-keys", ...keys);

async function shows(text: string | RegExp): Promise<void> {
	const patience = { timeout: 3 * MINUTES, interval: 500 };
	await vi.waitFor(() => expect(screen()).toMatch(text), patience);
}

/** What the shell outside says of its terminal's settings. */
async function settings(mark: string): Promise<string> {
	type(`echo ${mark} $(stty -g)`);
	press("Enter");
	const line = new RegExp(`^${mark} ([0-9a-f:]{20,})$`, "m");
	await shows(line);
	return line.exec(screen())?.[1] ?? "";
}

describe.skipIf(!hasTmux || !hasGuest)(
	"On a terminal, the default guest",
	{ timeout: 10 * MINUTES },
	() => {
		let before: string;

		beforeAll(async () => {
			tmux(
				"-f",
				"/dev/null",
				"new-session",
				"-d",
				"-x",
				"130",
				"-y",
				"40",
				"sh",
			);
			before = await settings("before");
			type(`'${process.execPath}' '${CLI}' run`);
			press("Enter");
			await shows(/# $|# *\n*$/);
		}, 5 * MINUTES);

		afterAll(() => {
			spawnSync("tmux", ["-L", SERVER, "kill-server"]);
		});

		it("knows the window's size, also when it changes", async () => {
			type("stty size");
			press("Enter");
			await shows(/^40 130$/m);
			tmux("resize-window", "-x", "120", "-y", "33");
			type("sleep 1; stty size");
			press("Enter");
			await shows(/^33 120$/m);
		});

		it("gets Ctrl-C, Ctrl-Z and the arrow keys itself", async () => {
			type("sleep 1000");
			press("Enter");
			await new Promise((resolve) => setTimeout(resolve, 2000));
			press("C-c");
			type("echo interrupted $?");
			press("Enter");
			await shows("interrupted 130");
			press("Up");
			press("Enter");
			await shows(/interrupted 0/);
		});

		it("gives the terminal back when it is killed", async () => {
			// Of this shell: other tests run guests at the same time.
			const shell = tmux("display-message", "-p", "#{pane_pid}").trim();
			const children = execFileSync("pgrep", ["-P", shell]).toString();
			const lguest = Number(children);
			process.kill(lguest, "SIGTERM");
			await vi.waitFor(
				() => expect(existsSync(`/proc/${lguest}`)).toBe(false),
				{ timeout: MINUTES },
			);
			expect(await settings("after")).toBe(before);
		});
	},
);
