import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { parseBzImage } from "../src/boot/bzimage.ts";
import { detectCompression, unpackPayload } from "../src/boot/compression.ts";
import { identify } from "../src/boot/kernel-image.ts";
import { nodeDecompressors } from "../src/node/decompress.ts";
import type { PackageName } from "./debian/apt.ts";
import { debianPackageFiles } from "./debian.ts";
import { BUILT_BY, KERNEL_PACKAGE } from "./guest/kernel.ts";
import {
	buildUserland,
	DEBIAN_FILES,
	rootfsFiles,
	USERLAND_PACKAGES,
} from "./guest/userland.ts";
import {
	DEFAULT_GUEST,
	differences,
	kernelInputs,
	MOST_BYTES,
	readManifest,
	sha256,
	userlandInputs,
} from "./guest-build.ts";
import { readCpioFiles } from "./initramfs/cpio.ts";

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

	it("is made of the packages that the scripts name, each in one version", () => {
		const named = (packages: readonly PackageName[]) =>
			packages.map(({ name, architecture }) =>
				expect.stringMatching(
					new RegExp(
						`^${name.replaceAll(".", "\\.")}_[^_]+_${architecture}\\.deb$`,
					),
				),
			);
		const { kernel, userland } = manifest;
		expect(kernel.packages, remedy).toEqual(named([KERNEL_PACKAGE]));
		expect(userland.packages, remedy).toEqual(named(USERLAND_PACKAGES));
	});

	it("has in its archive the files that the scripts name, ours as they are here", async () => {
		const { file } = manifest.userland;
		const packed = await readFile(join(DEFAULT_GUEST, file));
		const files = readCpioFiles(gunzipSync(packed));
		const ours = await rootfsFiles();
		const programs = ["init", "sbin/agent"];
		expect([...files.keys()].sort(), remedy).toEqual(
			[...new Set([...DEBIAN_FILES, ...ours, ...programs])].sort(),
		);
		for (const path of ours) {
			const here = await readFile(join(DEFAULT_GUEST, "rootfs", path));
			const there = Buffer.from(files.get(path) ?? []);
			expect(there.equals(here), path).toBe(true);
		}
	});

	it("is what guest.json describes", async () => {
		const path = join(DEFAULT_GUEST, "guest.json");
		const { kernel, initrd, initrdPacking } = JSON.parse(
			await readFile(path, "utf8"),
		);
		expect([kernel, initrd]).toEqual([
			manifest.kernel.file,
			manifest.userland.file,
		]);
		const packed = await readFile(join(DEFAULT_GUEST, initrd));
		expect(detectCompression(packed)).toBe(initrdPacking);
	});

	it("has a kernel of the package's version, built by the compiler and in the name that the scripts say", async () => {
		const { file, packages, compiler } = manifest.kernel;
		const [, version] =
			/^linux-source-6\.1_([\d.]+)-/.exec(packages[0] ?? "") ?? [];
		const kernel = await readFile(join(DEFAULT_GUEST, file));
		const { KBUILD_BUILD_USER: user, KBUILD_BUILD_HOST: host } = BUILT_BY;
		const count = `#${BUILT_BY.KBUILD_BUILD_VERSION}`;
		const facts = identify(kernel);
		expect(facts.version).toBe(
			`${version}-lguest (${user}@${host}) ${count} ${BUILT_BY.KBUILD_BUILD_TIMESTAMP}`,
		);
		const { payload } = parseBzImage(kernel);
		const vmlinux = await unpackPayload(payload, nodeDecompressors);
		const text = Buffer.from(vmlinux ?? []).toString("latin1");
		expect(text).toContain(`(${user}@${host}) (${compiler},`);
	});

	it("has a kernel with our driver and those that kernel.config asks for", async () => {
		const kernel = await readFile(join(DEFAULT_GUEST, manifest.kernel.file));
		const { payload } = parseBzImage(kernel);
		const vmlinux = await unpackPayload(payload, nodeDecompressors);
		const text = Buffer.from(vmlinux ?? []).toString("latin1");
		const config = await readFile(join(DEFAULT_GUEST, "kernel.config"), "utf8");
		const drivers = [
			...["balloon", "blk", "console", "input", "mem", "mmio", "net", "pmem"],
			...["iommu", "gpu"],
		];
		const asked = drivers.filter((name) =>
			config.includes(`CONFIG_VIRTIO_${name.toUpperCase()}=y`),
		);
		const there = drivers.filter(
			(name) =>
				text.includes(`\0virtio_${name}\0`) ||
				text.includes(`\0virtio-${name}\0`),
		);
		expect(there).toEqual(asked);
		expect(asked).toContain("balloon");
		// Its parameter, and what it looks for in CPUID.
		expect(text).toContain("virtio_lguest.page");
		expect(text).toContain("lguestlguest");
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

describe("a fresh build", () => {
	const { kernel, userland } = manifest;

	it("is the same if what went in and what came out is", () => {
		expect(differences(kernel, { ...kernel })).toEqual([]);
		// How zlib packs is its own business.
		const packed = { ...userland, sha256: "0", bytes: 1 };
		expect(differences(userland, packed)).toEqual([]);
	});

	it("is not the same if other bytes came out of the same things", () => {
		expect(differences(kernel, { ...kernel, sha256: "0" })).toEqual([
			`vmlinuz: sha256 was "${kernel.sha256}", is "0"`,
		]);
		const other = { ...userland, contentsSha256: "0" };
		expect(differences(userland, other)).toHaveLength(1);
	});

	it("is of other things, about whose bytes nothing is said, if any input or version is another", () => {
		const fresh = { ...kernel, compiler: "tcc", sha256: "0", bytes: 1 };
		expect(differences(kernel, fresh)).toEqual([
			`vmlinuz: compiler was "${kernel.compiler}", is "tcc"`,
		]);
	});
});
