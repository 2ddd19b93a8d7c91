/**
 * The program of the thread that compiles regions: answers each request that
 * comes by the port it is given.
 *
 * @journey S:142 What the compiler's thread does
 */

import { type MessagePort, workerData } from "node:worker_threads";
import { compileRegions, type RegionRequest } from "../index.ts";

const port = workerData as MessagePort;
port.on("message", (request: RegionRequest) => {
	port.postMessage(compileRegions(request));
});
