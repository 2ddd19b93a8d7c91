import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { identify } from "../src/boot/kernel-image.ts";
import { debianPackageFiles } from "./debian.ts";
import { buildUserland, USERLAND_PACKAGES } from "./guest/userland.ts";
import {
	DEFAULT_GUEST,
	kernelInputs,
	MOST_BYTES,
	readManifest,
	sha256,
	userlandInputs,
} from "./guest-build.ts";

const manifest = await readManifest();
const remedy = "npm run guest:build makes it again";

describe("the committed default guest", () => {
	it("is the files that the manifest describes, and small enough", async () => {
		let total = 0;
		for (const { file, bytes, sha256: digest } of Object.values(manifest)) {
			const content = await readFile(join(DEFAULT_GUEST, file));
			expect([content.length, sha256(content)]).toEqual([bytes, digest]);
			total += content.length;
		}
		const { size } = await stat(join(DEFAULT_GUEST, "manifest.json"));
		expect(total + size).toBeLessThanOrEqual(MOST_BYTES);
	});

	it("was made of what is in the repository now", async () => {
		expect(manifest.kernel.inputs, remedy).toEqual(await kernelInputs());
		expect(manifest.userland.inputs, remedy).toEqual(await userlandInputs());
	});

	it("has a kernel of the version that the package has", async () => {
		const [, version] =
			/^linux-source-6\.1_([\d.]+)-/.exec(manifest.kernel.packages[0] ?? "") ??
			[];
		const kernel = await readFile(join(DEFAULT_GUEST, manifest.kernel.file));
		expect(identify(kernel).version).toContain(`${version}-lguest`);
	});

	it("has the userland that a fresh build gives, where Debian has the same packages", async ({
		skip,
	}) => {
		const built = await buildUserland();
		if (built === undefined) skip("no packages, or no compiler");
		const packages = await debianPackageFiles(USERLAND_PACKAGES);
		if (packages.join() !== manifest.userland.packages.join()) {
			skip("Debian has other versions of the packages now");
		}
		const { file, contentsSha256 } = manifest.userland;
		const packed = await readFile(join(DEFAULT_GUEST, file));
		expect(sha256(gunzipSync(packed))).toBe(contentsSha256);
		expect(sha256(built as Uint8Array), remedy).toBe(contentsSha256);
	}, 300_000);
});
