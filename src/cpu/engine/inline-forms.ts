/**
 * The forms whose handlers stand inside the cold loop, written as sample
 * encodings. All of them are 32-bit flat code: what kernels and programs
 * execute most. Chosen by counting executions over a kernel boot and a shell
 * session; everything not here costs a call_indirect more.
 *
 * In the notation of `form-samples.ts`.
 *
 * @journey E:475 The hundred forms that matter
 */

import type { SampleForm } from "./form-samples.ts";
import { readSamples } from "./form-samples.ts";

const FORMS = `
89 rmx
8b rmx
8d mx
88 rmx
8a rmx
c7/0 m
c6/0 m
b8
0fb6 rmx
0fb7 rmx
0fbe rm
0fbf rm
01 rm
03 rmx
29 rm
2b rm
21 rm
23 rm
09 rm
0b rm
31 rm
33 rm
11 r
13 rm
19 r
1b rm
39 rmx
3b rmx
38 rm
3a rm
84 rm
85 rm
83/0 rm
83/1 rm
83/2 r
83/3 r
83/4 rm
83/5 rm
83/6 r
83/7 rmx
81/0 r
81/1 rm
81/4 rm
81/5 r
81/6 r
81/7 rm
80/1 m
80/4 m
80/7 rmx
f6/0 rm
f7/0 rm
f7/2 r
f7/3 r
f7/4 r
ff/0 m
ff/1 m
3c
3d
25
2d
05
24
a8
a9
a1
a3
40
48
50
58
68
6a
70
72
73
74
75
76
77
78
79
7c
7d
7e
7f
0f82
0f83
0f84
0f85
0f86
0f87
0f88
0f89
0f8c
0f8d
0f8e
0f8f
eb
e9
e8
c3
c9
90
99
0f94 r
0f95 r
0f92 r
0f97 r
0f44 rm
0f45 rm
0f42 rm
0f43 rm
0f46 r
0f47 r
0f48 r
0f4c r
0f4d r
0f4e r
0f4f r
0faf rm
c1/4 r
c1/5 r
c1/7 r
c1/0 r
c1/1 r
d1/4 r
d1/5 r
d1/7 r
d3/4 r
d3/5 r
0fac r
0fa4 r
ff/2 m
ff/4 mx
ff/6 m
f7/6 rm
6b rm
69 r
0fc8
648b m
64ff/0 m
64ff/1 m
64a1
642b m
6403 m
6489 m
0c
80/4 r
80/6 m
`;

/** Sample instructions of every inline form. */
export function inlineForms(features: ReadonlySet<string>): SampleForm[] {
	return readSamples(FORMS, features);
}
