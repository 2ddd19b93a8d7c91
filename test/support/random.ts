/** Seeded chance is a part of `lguest/testing`, for authors of devices too. */

export * from "../../src/testing/random.ts";
