/**
 * The forms that a Linux executes while it boots and starts its programs, but
 * for those in the cold loop itself: found with Debian's kernels, the default
 * guest's and some that lguest was made for, and kept where two kinds had them.
 * Programs have their handlers prepared (`prepared-code.ts`). Without that, a
 * machine that turns out to run a system has them made all at once, which is far
 * cheaper than one by one as they are met, as is whatever is missing here.
 *
 * In the notation of `form-samples.ts`.
 *
 * @journey E:482 What nearly everybody needs
 */

import type { SampleForm } from "./form-samples.ts";
import { readSamples } from "./form-samples.ts";

const FORMS = `
00 r, 01 x, 02 m, 04, 06, 07, 08 rmx, 09 x, 0a m, 0b x, 0d, 0e, 0f00/2 r,
0f00/3 r, 0f01/0 m, 0f01/2 m, 0f01/3 m, 0f01/7 m, 0f01c1, 0f01f9, 0f0b,
0f18/0 m, 0f20 r, 0f22 r, 0f23 r, 0f28 rm, 0f30, 0f31, 0f32, 0f34, 0f35,
0f46 m, 0f47 m, 0f48 m, 0f49 rm, 0f4c m, 0f4d m, 0f4e m, 0f80, 0f90 r,
0f92 m, 0f93 rm, 0f94 m, 0f95 m, 0f96 rm, 0f97 m, 0f98 r, 0f9c r, 0f9d r,
0f9e rm, 0f9f rm, 0fa0, 0fa1, 0fa2, 0fa3 rmx, 0fa5 r, 0fab rm, 0fad r,
0fae/0 m, 0fae/1 m, 0fae/2 m, 0fae/5 r, 0fae/6 r, 0fae/7 r, 0faf x, 0fb1 mx,
0fb2 m, 0fb3 rm, 0fba/4 rm, 0fba/5 rmx, 0fba/6 m, 0fbb r, 0fbc rm, 0fbd rmx,
0fbe x, 0fc1 mx, 0fc7/1 m, 0fc7/6 r, 11 mx, 13 x, 16, 18 r, 19 m, 1b x, 1c,
1e, 1f, 20 rm, 21 x, 22 mx, 23 x, 28 m, 2a m, 2b x, 2c, 30 r, 32 m, 33 x, 34,
35, 38 x, 6401 mx, 6409 m, 640fb0 m, 640fb1 m, 640fc1 m, 640fc7/1 m,
646609 m, 646683/1 m, 64668b m, 6466a1, 6466a3, 6466c7/0 m, 6481/0 m,
6481/1 m, 6481/4 m, 6488 m, 648a m, 648b x, 64a0, 64a3, 64c6/0 m, 64c7/0 m,
64ff/0 x, 64ff/1 x, 6533 m, 6580/7 m, 65a2, 65ff/2 m, 65ff/6 m, 6601 mx,
6603 mx, 6605, 6609 mx, 660b m, 660d, 660f12 m, 660f13 m, 660f3800 r,
660f3817 r, 660f3a63 rm, 660f44 m, 660f45 m, 660f60 r, 660f64 rm, 660f6e rm,
660f6f rm, 660f70 r, 660f74 rm, 660f7e r, 660f7f m, 660fbe m, 660fd6 m,
660fd7 r, 660fdb rm, 660fde r, 660feb r, 660fef r, 6619 r, 6621 rmx, 6623 mx,
6625, 662b m, 662d, 6631 r, 6633 m, 6639 rm, 663b mx, 663d, 6640, 6648,
6681/1 rm, 6681/4 rm, 6681/5 r, 6681/7 rmx, 6683/0 mx, 6683/1 m, 6683/4 rm,
6683/5 m, 6683/7 rmx, 6685 r, 6689 rmx, 668b mx, 668c r, 6690, 66a1, 66a3,
66a5, 66a9, 66c1/0 r, 66c1/5 r, 66c7/0 mx, 66d1/5 r, 66d1/7 m, 66ed, 66ef,
66f3ab, 66f7/0 rm, 69 m, 6b x, 71, 7a, 80/0 rm, 80/1 rx, 80/2 m, 80/3 r,
80/4 x, 80/5 rm, 80/6 rx, 81/0 mx, 81/1 x, 81/2 r, 81/5 m, 81/6 m, 81/7 x,
83/0 x, 83/1 x, 83/2 m, 83/3 m, 83/5 x, 83/6 m, 86 r, 87 rm, 8c r, 8e rm,
8f/0 m, 98, 9b, 9c, 9d, a0, a2, a4, a5, aa, ac, ae, b0, c0/0 r, c0/4 r,
c0/5 r, c0/7 r, c1/5 m, c2, c6/0 x, c7/0 rx, cc, cd, cf, d0/5 r, d0/7 m,
d1/0 r, d1/5 m, d3/0 r, d3/4 m, d3/5 m, d3/7 r, d9/7 m, db/3 m, dbe3, dc/1 m,
dc/6 m, dd/0 m, de/4 r, e3, e4, e6, ea, ec, ed, ee, ef, f2ae, f30f6f mx,
f30f7f m, f30fb8 r, f390, f3a4, f3a5, f3a6, f3aa, f3ab, f4, f6/0 x, f6/2 r,
f6/3 r, f7/3 m, f7/4 mx, f7/5 rm, f7/7 rm, fa, fb, fc, fd, fe/0 rm, fe/1 r,
ff/0 x, ff/1 x, ff/2 rx, ff/4 r, ff/6 x
`;

export function usualForms(features: ReadonlySet<string>): SampleForm[] {
	return readSamples(FORMS, features);
}
