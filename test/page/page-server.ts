/**
 * The built page on a server of the tests: it counts what it sends, and loses
 * connections or serves cut files when told to. Relies on `scripts/web.ts`,
 * which builds the page.
 */

import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import {
	createServer,
	type IncomingMessage,
	type Server,
	type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { buildPage } from "../../scripts/web.ts";

const TYPES: Readonly<Record<string, string>> = {
	".html": "text/html",
	".js": "text/javascript",
	".css": "text/css",
	".json": "application/json",
	".mjs": "text/javascript",
	".wasm": "application/wasm",
};

/** Told for one path; holds until it is mended. */
export interface Fault {
	/** `lost`: the connection ends there. `short`: the file does. */
	readonly kind: "lost" | "short";
	readonly afterBytes: number;
}

/** Paths on the server, and the files that they are. */
export type Files = Readonly<Record<string, string>>;

/** On a port of this machine that was free. */
export class PageServer {
	readonly #folder: string;
	readonly #more: Files;
	readonly #server: Server;
	readonly #sockets = new Set<Socket>();
	readonly #faults = new Map<string, Fault>();
	readonly #counts = new Map<string, number>();
	#closedBytes = 0;

	/** Builds a page into a folder of its own, which goes with the server. */
	static async start(
		more: Files = {},
		build: (folder: string) => Promise<unknown> = buildPage,
	): Promise<PageServer> {
		const folder = mkdtempSync(join(tmpdir(), "lguest-page-"));
		await build(folder);
		const one = new PageServer(folder, more);
		await new Promise<void>((resolve) =>
			one.#server.listen(0, "127.0.0.1", resolve),
		);
		return one;
	}

	private constructor(folder: string, more: Files) {
		this.#folder = folder;
		this.#more = more;
		this.#server = createServer((request, response) =>
			this.#answer(request, response),
		);
		this.#server.on("connection", (socket) => {
			this.#sockets.add(socket);
			socket.on("close", () => {
				this.#sockets.delete(socket);
				this.#closedBytes += socket.bytesWritten;
			});
		});
	}

	get url(): string {
		const { port } = this.#server.address() as AddressInfo;
		return `http://127.0.0.1:${port}/`;
	}

	/** All bytes that went out, headers too. */
	get sentBytes(): number {
		return [...this.#sockets].reduce(
			(sum, { bytesWritten }) => sum + bytesWritten,
			this.#closedBytes,
		);
	}

	/** What was asked for, and how often. */
	get requests(): ReadonlyMap<string, number> {
		return this.#counts;
	}

	/** From now on, `path` comes like this. */
	break(path: string, fault: Fault): void {
		this.#faults.set(path, fault);
	}

	mend(): void {
		this.#faults.clear();
	}

	async close(): Promise<void> {
		const closed = new Promise((resolve) => this.#server.close(resolve));
		this.#server.closeAllConnections();
		await closed;
		rmSync(this.#folder, { recursive: true, force: true });
	}

	#answer(request: IncomingMessage, response: ServerResponse): void {
		const { pathname } = new URL(request.url ?? "/", "http://page");
		this.#counts.set(pathname, 1 + (this.#counts.get(pathname) ?? 0));
		const name = pathname === "/" ? "/index.html" : pathname;
		const path = this.#more[pathname] ?? join(this.#folder, name);
		if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
			response.writeHead(404).end();
			return;
		}
		const fault = this.#faults.get(pathname);
		const bytes = readFileSync(path);
		const sent = bytes.subarray(0, fault?.afterBytes);
		response.writeHead(200, {
			"content-type": TYPES[extname(path)] ?? "application/octet-stream",
			"content-length": fault?.kind === "lost" ? bytes.length : sent.length,
		});
		if (fault?.kind === "lost") {
			response.write(sent, () => response.destroy());
		} else {
			response.end(sent);
		}
	}
}
