/** The mock driver is a part of `lguest/testing`, for authors of devices too. */

export * from "../../src/testing/mock-driver.ts";
