// What the page of browser.test.ts runs: the library, where the test finds it.
import * as lguest from "lguest/browser";

globalThis.lguest = lguest;
