/**
 * One piece of made-up code, as bytes and as every format kernels come in.
 * The packed forms were made with xz 5.4.1, lz4 1.9.4 and zstd 1.5.4:
 *
 * ```text
 * XZ_X86     xz --check=crc32 --x86 --lzma2=dict=32MiB, as Linux's build does
 * XZ_BLOCKS  xz --block-size=1024 --check=crc64 -0
 * XZ_STORED  xz --check=none, of `sampleNoise`
 * LZMA       xz --format=lzma
 * LZMA_ROWS  xz --format=lzma -9e, of `sampleRows`
 * LZ4        lz4 -l -9
 * ZSTD       zstd -19
 * ```
 */

/** Mostly calls and jumps among bytes that look like them: hard cases for the x86 filter. */
export function sampleCode(lengthBytes: number): Uint8Array {
	const bytes = new Uint8Array(lengthBytes);
	let seed = 1;
	const random = (limit: number): number => {
		seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
		return (seed >>> 16) % limit;
	};
	for (let at = 0; at < lengthBytes; ) {
		const choice = random(4);
		if (choice === 0 && at + 5 <= lengthBytes) {
			const relative = random(8) * 600 - (at + 5);
			bytes.set(
				[
					0xe8 + random(2),
					relative,
					relative >> 8,
					relative >> 16,
					relative >> 24,
				],
				at,
			);
			at += 5;
		} else {
			bytes[at++] = [0x90, 0x00, 0xff, 0xe8, 0xe9, 0x55][random(6)] as number;
		}
	}
	return bytes;
}

/** Bytes that no format can shorten. */
export function sampleNoise(): Uint8Array {
	let seed = 7;
	return Uint8Array.from({ length: 200 }, () => {
		seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
		return seed >>> 24;
	});
}

/** Bytes of `sampleCode` that the packed forms hold. */
/** Rows of 50 bytes that repeat one, then two, up to nine bytes: matches that reach into themselves. */
export function sampleRows(): Uint8Array {
	return Uint8Array.from({ length: 450 }, (_, at) => {
		const repeated = 1 + Math.floor(at / 50);
		return repeated * 16 + ((at % 50) % repeated);
	});
}

export const SAMPLE_BYTES = 3000;

function unbase64(lines: readonly string[]): Uint8Array {
	return Uint8Array.from(atob(lines.join("")), (c) => c.charCodeAt(0));
}

export const XZ_X86 = unbase64([
	"/Td6WFoAAAFpIt42AgEEACEBGgAByYCz4Au3BehdAEg5/AUsxnit7CQ6W3Vu9a+s9gQgml",
	"IFIM/itne8ui05wbMwY8tEi6u9yuaiB3/Mx9bbySh2z+aidLpSjqfGo5v3ThWyF7CfIN52",
	"mcdHzlrRwk0YKAknqSht3LiUYebRxR7bAF1mdS8arv7Qz9ksgT81m5YHBGhAJMW4LSxDeT",
	"tSpzrG9TsWeVOjnXEu/G+Gzt0aia/Yeg44Xg5bkfGidayCQiYjmI36d4vcMmkSK/iglMBt",
	"RAbiAQBijtBoAHtcAGdWcoPRf7D8OqnH65YI6igqEoOld7DxDKd+n8hhfPiuw97liokHKK",
	"FhZbk6ngvDMyQUNxlPFesbyG4sk9tZ4v/zokjJdzIooxh8HQ/4VRATU/gelaF/+FFKe6OG",
	"Dmzb2VKLXuk8k730N2qP2NDS4luun2esAzKBA1B2j8aDb34YfzQVzaxAzzI0h81CnHWR5Y",
	"ZZfb7w3v1zwwb/d+N7KQa5AyKcx6eTbs0bmwAD1xzxCND9OrFxz89nwNidvT34dSvc5JPt",
	"pFEoiuKyVrx6cqGBHsh5W6LHuz7owFvLX85cqqhzB3swTZQxEWegH8C8DBM6GgL3nrdNv0",
	"Q3ftGhsJ2fBO5SMUhgrK+YAHYhndTf7Rj67Q790TnE0UsUY3wKiuR03oH0CYQo5h///4zn",
	"AIZb4cGIfIEM1xY5Q4cDWNlyEdiXyrhD35NS9LOSn6iwP6/a8quNMbJE92Vk12HgjuynA0",
	"cMcqEWNlJ7PAWaxyNNNgHkpwwqokVtZwaHrITHJhFrvtNtWAM95rCn82bq1n+yfVKPI1u3",
	"5PmQ+cJ9oIrMiy9gJfOOISnt/N4IAQjhqL2Zpq1v+lvLyT0989s+t5EED4IZSni9Fk7Zya",
	"etFA2AG3iwEx1e93ic/c5oz3MNLdBMJv+2npCEeofe8bkUgeBzl/bcRKuy3A2e9jlMe7xh",
	"6NJF1eKDlO2MQf1C7jH4wBMCJ9xzeOB7bk0a4k2vcsEm7GxwW9eUPeUcCNn7jcH4ZPC5r5",
	"JWNITwZ7C5q2Imi1C7T1eQplaXWlFvl6uA3LTIosxbrbvHGdR9Wf3ZrxVWoYWzTKGftXJN",
	"goiaN2yDQ9kpGh9E7IgOdzaT+sWcdcTHzDdvcvFjSvnLo2uSRZXGHYvEh4Wwc0NIPqfNoC",
	"BEtzM8pEVP7r/YMe6AC+GsEjGaHZ9mQodfNs9jSPqyjM1X+AfA1BiVLLi2fMcg2ZLJg9dT",
	"8NQXlVgtv+KsuisAepNDAFLNoGRycJUqr0n03G3XyiHg86zf/cdw7QwibfKX7SM62mUOPs",
	"3vnv6QsayPChZhZts9qK9me4OALX9QFst5sWOk27+0cLvq5RJuHnrn78YhCm0+2Zl+Jii2",
	"eXygqdJ8mQO3SyzD7jliMkPpsG4Jkj5QIjJGRoLQP91KIToNAWSL/L6uLxDykkFq1EM5wQ",
	"oZ0QrewD+NqSz33aAbydt1PzZOm313QtnK5YUX593oj/v9UU2dKme/b0GXOcFXSoNmCefo",
	"SJYqIjzTJqmNR5MZX91lDxYGHi2ULs35F7pYA7xaODiEqqrrpshzqO4H82kuruZ1rkiAtj",
	"agH5XA3sUblymYP9UQv8FtjCLA+RHStzDSvumEo4dn6ds3jYa4lZk3YEjrelCFK9ozRFmy",
	"GO6IopTWuKsBrefkS4EPMP7k59O53UqgyO9Qwm/5TIxTSwGFHsB44meiJ4/cEIDW21HrGc",
	"9XgvOXlTjEiMtN8BhcjQmsbO5If1fxqHD8D+Dqh+zPtg/JVucYcWmdmTRs/C22T6hLh3iS",
	"mZ49Znaa7se5aIYjfvmJlOdr8pCdjGquBarDV6QIq8pZSKReK2hXGsbPSUqN1kKx93blA0",
	"EgVpEQ16GTKfiAcJiExvdLaGQKRdZgdgLciv+zIdLU0QDM1HCG3pVPFl0wk3e7ZmUMW3d0",
	"l5x0bgNpQ/j2+cmaWJEaDqI1ryj9NbKXul3/H9YXsW3CRBEyxX91pCcGUHskavc3KOtt3C",
	"ZHE3uigYFybuWZ6CbVwSXuEson2gDCZ2EzAAGADLgXAACE/rrZPjANiwIAAAAAAVla",
]);

export const XZ_BLOCKS = unbase64([
	"/Td6WFoAAATm1rRGAgAhAQwAAACPmEGc4AP/ArJdAEg5/AUsxk/qpShLhmYa9WYO0YXbbZ",
	"FxvGLej0rXTdP/Fy7pxWp4ZAsCaIElTGBmZJHc57BY0l53s2hiTgJIDuGFOiCgttI2qXcN",
	"N3dNfRLp4hkhMy/0u31Tj13suYquXt2pyhYTqX3ldq5gNYr4cKmvLPPLcwIWTBDf3bfBHR",
	"RlzO5Wc1Ubl7LsS0sOqLVwFPaCDE7Ry76lbHxlojpYshgiQlSw2Q98UbsJc5PsKW3R6fiI",
	"iS6vh7dzId8OgDrXuxQfgwd3n7p6D2yTATQaCUqfiyk7fPhKINBz1funtsfVC9qxHUiyvr",
	"7yjIQ6LQDmyq/ijPz2YlZNPclLlH4uQbx6c1ZFnh3CBmBnJIZUXNh/yTQT+G0KAHpYdzPY",
	"5u/DXId7EGL2Zto2grZa06l2IgCZA3zN/cK3HG/TsL1GY3SodYc/2YY68o8Jo0crt2haSI",
	"hQRjb5pmlQbMmFPFPXpKkZ/1+C5IlzRHhHMKSyhNSA2vOeUiG5rCDQO+Y/pMFuuP81CK//",
	"2cEE/tWGUNV1apJEUPA3w41evLlPRQMSRWshY1XcCH/SfiqYRhfu3kua+Z3WG3aiJjz+3l",
	"4IxsqpAqd9pmi6fI8hmRiwuUbrx5bZMh85Co9sGUvLK8qrN+kzPWOmR1vTtAdst9u41xpj",
	"Ja1Q3cOiKSLQ/liVZ1v8lBkRtajuUtuMSwytSSnu6Knf5jSWZV1uJJzyHHMWkUvy3bRtYg",
	"F1eOCQVBbGbpCjI/0czOBWUuR+iiBV+vr0bV/Au5yNuDJTE1zaDBTsAw2UVLg+W03gMwxG",
	"UE74wVVoW13PauGGOWE3Mnie7q5z/cMRWCjMpYNni/LWiJGBfciXgUXhMVt2/7IPjNtzxP",
	"AG3XDQ+o9YzdKkD2uzk+7mAU/SqS6sjoTMaPD/jghNMWBhWDrWgAAAACX5xWMR7qWqAgAh",
	"AQwAAACPmEGc4AP/ArBdACo/m+/05keJZlh5Xvhwl8A4rcKkM+s+OE7UctJtar66cKBGAW",
	"E+/qt+KUUAdhnWZzc2quknlpMFZMt0kAkTecfepnpEXstXWJtm60VUgsHjbPwPzFtpcIKq",
	"1Ye0XnJpVMZimbsIznqfn5IMqMfHPXxQQuYqoXlET8l41K2q+OCJZlBXgxwitf4V4V7EOn",
	"axPGKQdz339UuZgrTUq/u2skotYfVCDpx7NyDm82/DWMyZ8WKpsbYT9Pe6vSkLNXtAVEaN",
	"cP6BJ4sKGoPEhH0SiD1nrL9cIqc2J2717QE5DeCZvmu1CzxmIgrkg64O8wDp6lCyArHR7b",
	"/KwUvk26ivKDObTV/cseqd98lVrLHsDBCRk4z2lfshOuN6cKkcJxfOJYB9+UPJM81n/GPg",
	"AFY+pv0iMXFVSdhVCN1XAk2Z2P/H0uJXN3KRFuaJmtfksLIJ4CSkNARYiZHqJGGe71YvDi",
	"c78E+eU0lL2RQBx722oR29O/s8T9/KjBTOnvspoZNlwZdG31+BXw75MmpYj9eOHcryDiVq",
	"Cea2HOo5o9QigSSze17I3najYzerbHlX/CF+CojZ9WRXOWohNVuHsGgNkhhmPBxsvXetEq",
	"ur9t1idy+9DRCTxw1/kRU/avJTuTEbhXIxAV1Mi03p8mxXdE8aF0KtGr5MxoFRFzxA0jBX",
	"WzLIwSQH/giPhVHKB4lYLdKc1deIInKHrvBN6AmiBfB9QWccASpxxMBur92zACbvK9aHi9",
	"DYyRxtYGAPTv2KkhzTP36klzbFM+Y/3/2+VfCQYyRup8MYCdsfbTO2uSCUOL/eaS49C3Mi",
	"+glhlLIus1zNwn7k+qpfbusmcvl7ebRc8rL216S5ir5wTPXzUUpwm7qhOFHUH1hyUs1scp",
	"hNAEmCXRBkmDuuBnMbBWEzAK+vnrAA8G0kp2VsJ0YCACEBDAAAAI+YQZzgA7cCg10ALgA8",
	"AAmianSbLHzraLdMVlbohCkvPAhN0h5uIuGxdv/hFcxcrjwNh/764YB/hwPCDgm46KgUT/",
	"oHwAZfz6d1Ft/i+iZ/r7/ynERm4HrKl5CmEwr0U3A4wgrRhH3+YmeqFFPMGdnbZriqioPW",
	"6lgf4zHCmrHjCEYGdmIHYIwsiEP+40NIJ1qO8RRo0vASDW9i8DDhKX6vgQXoJoyItz/hCr",
	"x8p9f8YgTXyGxFSC+8E16c7OIN/uirFWhpLrJ6u0R7YRUKZON8tseW7f/5N3afcqCT/r85",
	"gfBa1d1z1WpCIodOMBOJ2GESZKABUx+Ul9iDfNOHlZ+vxTZh3P/S1WHtgh77zRExgai0Ie",
	"lXmloNlslFp5WR+MrzA9mgT+vQGhyeLPKtwwk+0HntX4iWua252J8ZaNN+hQkVzSACS36i",
	"TnDepFTN1G3Kh8jJM4i7vkRnz7HiD5QTpTH7ep3H5FImT2Fjv6eM0iBJX5bwDW8QwlYbFT",
	"dFCPVnlCWfxIh7NmwZ6oo0jRb1aDqokHq8IE8JAIF9U6ndoR887gCwsdZN3U8uqec6JJ4i",
	"HWLw7zyRoD0+TbXLeCoKcsSlxH8eXpUrq3MYx0r2aC8ROBw26xowT5evKPObV23fgJ2TuG",
	"EFkL6ensXQ7MBoeCZi3O++/C+r9CCFqS7jvJN6nHrvPEmP/61GQAq2KsLJa/n42gFeCuZV",
	"A3yovGFoHc265xOXkj/3adIEtEzyhnUkMQyfHdg+TBfoTd0wm9gIxbeKXCtM00jq3QTKFQ",
	"CJWPAgVv4Bj4IGXBQF/aVnqHCAsX0YkO5O+Oltl65tySw56NEtp9q9kLHoFlVw+h5jiaY9",
	"NfMLFmLOas551wAAFY4ZZ46K6bEAA84FgAjMBYAInwW4BwAAwmolgqwnPi0EAAAAAARZWg",
	"==",
]);

export const XZ_STORED = unbase64([
	"/Td6WFoAAAD/EtlBAgAhARYAAAB0L+WjAQDHzCYqWH+NfXwfqivjc+WCATdcyp2ASBPzRj",
	"l7x+e7tjJokWre0Y2n9M61g/CSPbQblY2jaJ5LTfBSKgFCIvy+U0w8xLNeD6FcYoDGQqFf",
	"dWyoHIpP/nhyp7DpYgiqF4Tpf7HF1hCjdiI/VtUulIpUKI/yE93/nPX1luBDvqdIule1uY",
	"biPNJ9D/E/nSZKeKphEzVdPG6BkRNsM1gjMkjh3UxYrQ2jJlhJNfwWt5FenQKqRxUwgOxQ",
	"k8DCXhJKSUWVUs1rKnEg91MAAAHYAcgBAADxz2OyqAAK/AIAAAAAAFla",
]);

export const LZMA = unbase64([
	"XQAAgAD//////////wBIOfwFLMZP6qYnehc9OHnOmteK9J60OoXeyvNRbn/zz3Ir3IDom7",
	"dAx1rq6Zm+sdwA/UulxzpysH3NO/OdSkUDaIS6IdNYzE+wThhWBbIVZ+GYIpVG1p6trwBG",
	"7TREOA1lK9TDEhxrPdZqqA1GGPSegO9X3lE9DlTSbJzm3ND4ecbjzfJQi18LulbEV8eBXk",
	"zTeuEgkHPqgNRXHoRUvG+q+/tiCL/sodZnYyesXJQ53WK2nkCzp2d7cB5Zabb38y37/GML",
	"HcklU3vV1SzJ5wWQvgaa7+JqyS2ai1DTa5vHuzkodzW9r6JI01sWEYc36Z2QvzO6Rv69aI",
	"Z7JGkq3aM28J77v/IyqXZbo1ustdGtM4ZiZXUAzE/xsqty9tsi13HaRx6yJS3NkomKEDyi",
	"Ag5uROkxCMZbIaLaTl2ylxpdWviLOF9nSEgK8ZVx1ihO4YuoXBh/UlOl2/pTJ0FQDKKaT7",
	"PFuQSe8CuZSm9wws3GOtPEEjJQItxjE2RyfuzyhGyptlRHQ6QOllBKM2z7E2KKZkbzosdG",
	"3L1/h8UDoKTvPW6BCtQgbSARQ42ZMxOlYNgpLN105FV+mkSZWfAptrd3+rzobT18KQoR9l",
	"jLQ+1t+OiPDHLfjnDobp13z6GkfifL+KrcVyu9oRUvoF14GgugRJSWcCY+FMmy/aUR9jdp",
	"YcP3yN2yq618ozdR95f8v/nBQKYf1Jq6XwPBgxVx9pXkKNZakNc54l9pXSMs+jI+PDUBjc",
	"UL1HulcTHuMmJySdzSLCW30v6MJfTmkvWesTxGVhGJFnhsBsNnqUW7p4kY6ZfJiu9PKdNt",
	"oWbeLbpPkMr52A1XKfrB0jM1oEn/0rLPdLrP8zPMmWY+b8Q+eOI/U8BUKzEn15D8V6rFQL",
	"2prDwTK4Ciz0yugpDZKC8Ue6064Ne0B0O9YpPBwBtEvjB2B7Q01y5ox6iObWUir4stDOgp",
	"aXYH3cXDKcCBc0mGk6BmNN2sbae7pWU4f/5bYs7QAsxAvkTY7ki9WL4HgCP4OVkEMaBnR0",
	"zmX/l1hN1dHvzjHNpoCfgg+2hy7AFwuUcjCBT983PgJIBbTFDg01MmXDsRB4j1l//OJIDL",
	"Bkv6ujLdrdiWZPtSp3hg3CuvLod6wJB4g10PjsSNA5Wq/iGu3UR6KMsHcuUBGIcdJWT8Xp",
	"JDrA5iAXhYwtHq+cNj1AJsyYJD+LgxKiwTQgsitTrePw4EDGPJb+ajNq5E0XRzDyVugmO8",
	"choJpMfkwVYBBRFczDPOHrwxeOgAx7r9fh5E0O3olGqkVFGhZQg5IUKd45PbMi6pzEABTA",
	"bGCyQsjRlmtMPoRwoCcPXUZ2G9H7y/0hyp7e1UZ+1CAlnClHAyU5la23dWQWiPaHUBZxiq",
	"Z4nqSu18Xtw2rGBhaDnUuit/5vQATcB8lKxXkOwJ7d734APAs/5o9Pc/JtSPf3dockLwkr",
	"NF9pFqQfyTI+GdzqRC/Mr5a7d/NUqRBTq02/kdJdFcreIGIhmnEST5GlM9+Q7RdQJON9yV",
	"X0P9STWhXWkG5phgUGKElHWL9avmd8T5XOSiiMS67D+V2+mxVcshL6Iw9WjFwU/J0m2pnY",
	"VI6Je+jQD2tfsOd9MwppeeAevp7WuCr8wN5J9KqhxYlPf/tM0Jifc115XKA8+DdPFw6OC7",
	"kDOht//IjqHT31zSrJIxRvrDbxAzUiNG1XZkgcKiVTCElPf4BLNSkXcqe/QwvYbrN5sWm7",
	"h35QrgaFjlMCrtNd21HqB7zEzcq4/61Zbya0/uO9vHZ0V0OF5gPAoBaLxvL03rRxQcKbCm",
	"UUBzvFOgrIN37JCAFNTh2HSHK5/UWJhXzEfpr8hOZJq/kLEmLRJF34rl6qGNkSJj6i5XC+",
	"AadRlfrKIw1k/sMsOw6zSjRu8SOrE67iD5aloRnj2/1EL7AiDemH5DaMor99e5Go7ZTbXF",
	"f3Z70rBmDkRnpNUk2KsD3148mQBoeuuEoXBO2p7bvu3acFV5ewLFBBbqUfyRlUutSM73oF",
	"1y0kFp44UBfW2ekxmA2d+11wGA+fwcfklIakdWS0ffoleujcyhJs9n7t2yMnaUVelEuR5o",
	"Up4WmqHu6fFPhv7UkS4jfFc5Z/h13d4VP4z4Ne3xc9s+KGthu61SGXJtahNW6aWjeLsdpT",
	"6ZgBagcWopejHZ4btJFyAERg4pFY7W4p1XljoKu0Oj7ZyKmGm99coKKax7cwuagACWM9bo",
	"M3ZHK5G6VnTcM+F9MQ0Ij/EqCCNwxRGXEI4Fmgmb2C+DAWUMgq8WBuPkpPkwd+Ix/WhbDm",
	"j5S6ZTBmAynrHtwbKlP2V+hRTceLc2mvqNIat6OwTR4bMUdb8vOyPfCUf//QYn3w==",
]);

export const LZMA_ROWS = unbase64([
	"XQAAAAT//////////wAIbjogENjwIwGjHeUoTRWcS/B0PiJEnvSXj9IYmuP/fhIEmjCUdT2fpAV3",
	"JLIgsMhDLHLVszn3G4zPi0jaANutExQNRPXm//+3HAAA",
]);

export const LZ4 = unbase64([
	"AiFMGLUJAADwLpDoAFXpBw4AAJDpSQIAAFX/kOiQAOnoPQIAAADpVeg9CQAA6P8AkOno2w",
	"YAAP9VAADp/1WQ6ejVDQAA6RgxAPAB6Om5////6OhrCwAAVem1BhMA8QP/AQAAkP//6ejo",
	"9QEAAOnoRwQ4ALDokOjp6esIAADp5gUAIdkBPwAR0gcA8AAA6SoLAAAAVZAAkOjICAB2AJ",
	"DpyA8AAP/psgEOACC8D5EAEKYsAEAA6K8PqgBg/wDp/+g8fQAg6UaPACDoOH0A8BD/AJDo",
	"3woAAOgA6CD///9V6MoDAAD/6JD/6VXpAOl1OgBSkOnp6Fx9ACCtA7YA0OmuCgAA6QDo6O",
	"noTAgYAHA+AQAA6OlIgABwkOgA6ek+D2AA8AKQVemQ6DMPAACQAFXpVejB/uMA8QpzCgAA",
	"//9VkAD//+np6Oms/v///5D/6FwKYABQVemjBQA5ATD/6OrBABCVDgAw6ZcM4ADwAOgAVV",
	"WQAFVV6ZD/VemEDIIA8ALpAJD/6P8A/+joxAcAAOm3AGwAIOhoHAAQC9QAMa4HAKQBUJCQ",
	"6fsJugDgVQDpOv7//1X/kADoQQwvARCLOQBx/5CQ/+kxDA8BgOnoAFX/VelrRgEADwAAlw",
	"BA6ei8CVwAIOlVjwDwBPj9///pAP+Q/+mQVQDo6OgA6AAZAFDpkOiOAt0AcAD/AOnp0/1O",
	"AVAAkOgyDl0BMADoKggAgOmQVVXp6W8JHwEwAOm/wwGA6VkCAADp6VMGACGmBEgBACgCkZ",
	"D/AOj/kOhECVQBIOjcuAExkOmNMgAwVektaAIw6OjWyAFy0Q0AAOjMDTYBELQoAHAAkOlU",
	"/f//8ABwBAAAkFXppo0CUOmQkOmlLAAROBwAIOg5ZgIw6JMN2AAR1SkCMeke/YYCIBf9CQ",
	"IQaUsAIGwGvgBAkOnoAxsAEGZmAHHp+Pz//+gDigBQkFX/6PlqAYDp6wMAAOje/FwBQFWQ",
	"6C08AFD//+jN/AkAEHcfAhDSJwAQdS8CMf/oxjMAEP/EABC7CwARtv4BIQAAVgKQVej3BQ",
	"AA6aIKmQAQnAYAYegA/1XokqUCEP+PAkDo6XX8qQAQd3QAERozAyLoE8IAMeljAxkCMOjp",
	"qm8CMJDoAzsDoP//6fsHAADopgwPAVHonwwAANcB4f+Q6eiKBQAA6JDpAOjRFQAQc5ECAS",
	"YAEHEZABAcmgAwVei1DgIACwIgVP5AAyD2+8MDIlgMtgCRkP+Q6FXp6EkM4QEADwAw/+jU",
	"IgAQkMsCMOnpeD0AMXsHALMBEMvRASDoFeIAcOnp/+jo6BI3ABCt8wGB6ej/Vej/6ElsAC",
	"DpoikAMADoQ6ACEe5tASDoCxIBAJkD0enpAADpeQIAAJCQAP8IAyHokGUDgP/owwsAAOkO",
	"NQAQsU0CEFwpAhCn6gEQ8pACQP/oQwLvAFCQVemaC4kAEdz0AyEuAnEEIOno+QNQkOlV6A",
	"DRABCQZwQhu/84ADHpuwZlBFCQkADoAEMAEQPIABD9XgFAkOn2CIsAgenf+v//6EILiQEB",
	"NwCQ6SX9//+Q6dcI0gAQGVYCYJDoAOjpD0wCEGpRAFCQ6P/puT0AMOjosksAEJ1CACCY+r",
	"ABAGMEMeiN+kcAAFgCMADp6IwBMOmCAVUBICwGQQEBgwQg6NAaAhDDDAIQtm8CMv/p6LAE",
	"YenpTvr//44AEK12BACkADHomwOyACLsBc8AEOiJAyGQAEUEcVX//5DoewMyAyBs/A0AIW",
	"4DxQVAkOi1/sgAIP/5/QERAVsAAMADQacFAABWBRCWVAQg6UCDAHHokJCQ6DYDTAKSz/n/",
	"/+n/6dgHmwIx6Oh2dgAQ6DsEIenCnAQwAOgCTgMgpfm5ABCQegBw6PH7///p/CMEALgCEJ",
	"MWAyHo5TsGQNf7//9yAxAnbwAg6CmgAhDMBQJA6ejpbCECIW8HvAAQsCcAQJCQkP+XBFGQ",
	"AOjor0UEYVX/6elNB1cAQejoNPmiAzHo5AS0ABDpHQQQeDgAANgAIM8ETgBD/+kXADgAEL",
	"bHAQCFA4Hp/Pj//+j3+AEFMehH+24BEKBfAiBLCXwFQJD/6JJzBEL/6OiC7wExy/j/OwEw",
	"6OgZ2AARzIoEIOgdTwUh6QdHAwASBRBVLgUg6Pf5ARBKHQIQRT0AIOmPbQAw6OH69gBB6f",
	"/pOLEEEIIqABB1GgAxVejO9QMAHAYQdKgEcOkO/f//6LmgAUBU+P//kwIQrHsEEU9cASDo",
	"8GoBAOoAIehGhgAQ4FYCYOjpAJDoLlQAISH4ZQIQInICMFXpG5EBQQCQ6XOyBACtBhARcw",
	"IAWAJA6ABVkOcBQJDo6FW8AiHpR/8GQOj/6Y6XBGFV6One/v99BADxAyEi+gsAYFVV/+mQ",
	"AO0AEBERACFk/B4GMunpExIFAAMDEbCKBEBV6fD5mAAQmmoEEEWuAiHwBzoEAE4EIOksOA",
	"DBVZD/kFWQkOjpzgAAWAKQ6OjoY/f//+i2cQJhWff//+m0vwZh6f8A6QIDkwhA6empB7ID",
	"YVUAVVVV/0cFIZgHUARQ/5CQ6CU+ACEA//UDIOnQDgQgw/sOASAN90EDMui2+88DYP72//",
	"/oUWUAIPT22wIRBDgIMfD9/yEBALkBYP/o6QDo5wMCMejpMEYCIZAAOQIQe1UAIG77RgAQ",
	"6VgBIWP7ZwEQrFIAEOiyAyGq/dMBAHoFALAEMFXoQSIAMeiL9pUCITwCFQWA6OgA6f8A6H",
	"7CBiHogN0GABkBIOl1MgAQVY4HMekK++MIIVv9BQNQVejo6aieACAA6TgFQf/powaqByE0",
	"9kgBIOiE9QEh6DZ4BwCRCBAkeQJBVejF+swAQQDpdAayAxFl4QAAqQEBCAcQBooCEAEFAB",
	"CcKQAg5/WqACDh9VIDIOniZgIgPQYCAREvjQcAUgcQ1UkEMf+QAHMGMP/obqMCEGHcBDDp",
	"W/oTAVFVkJD/VU8HIOlKUgAhlfVwAQDtAwCQAAC5BBDqMwYQjc0BIYD8RgEQKQkFgVWQ/+",
	"gA6Bb6RQlRAJDpbAOdBBC9LQBA6FXoBZoCIOhPkwBAVZDon5cCMOiZ/vMAMOji+bUAIOmL",
	"JwdhJvX//+khxgBAAOnJ+XIBEXMmABAVOgBh6JDobQUA4gUg/fRcAUGQ6aX5tgAQ6EMBQO",
	"kA6D4nAiDokDkAAO4AMZBVVfUBIX/5xgAx/+l2bAAQ6NYBILv0SAgCPwBQ/+iQ6FtUBUFV",
	"VehbDgYQnR4AMADo/lsBEEEaABCUNQQxkOmVAAUAWAIg6DJWAhB9FwARgDUHESLjCVH/6H",
	"ICAOIJAJ8AEGYuAtCp9v///+lbAgAA6ABV",
]);

export const ZSTD = unbase64([
	"KLUv/WS4CtU0ANqaLBY7cO6kkA62mf03IjNb8P686kq1ggUiK1m33To2i+KVadSCS6IDdV",
	"yJw5/KTr3yWCsIIELWWmubta21lgJMAVUBUgGhxHQ7woH12t6xpiKyRvhVJNn2NRcwEQvW",
	"2l6yVb9GhVV3K/3HBe5DXG4g/6MD/5s++Pg1R5ApFSvY761wsDq1HT1C3tv/ZLHiJ763nY",
	"qtznYUhn9i/TV7jFx6PxFMTY83Pc4GbFWvYB/nhF1N7Y4IPDF9TQ6rqukXybG3uQli158H",
	"XxTI1rvWnI9TBVOLKV0pve5xwKAX/ENZU38ZNZi49DY7rNV2Bw6ObK/Uvo2Wsd3xY4np+i",
	"sdrJhq/CslkK/6V1zg3lPC0tPIMG7zbeQg04Pi2GFkbeFMbK0PMmSpbQN7b5PJ6oIwfhUW",
	"uLYjrLxNf2WOzYX/lT32e+xg/woh7H4aQlZX+m8q4HOES++p5BM+jSjkaqEWxvegsrGt93",
	"TpZ/Bg+hsitrZ6cAbwq0QyVio/9WcsGevua0hY4v8hYbxWTf95gfVWREyvAnHw9O0YGsjH",
	"tsseBMjehpGN2+TPWMC+hwqmtxlnKhbj2+QwDDP4NHZserCrf2YIXuFepQO4p5mE1Y4iIE",
	"9/g8LaMZmw6mnAsPg0o/VrQPvPu6r7Z7ywqW298KUa015itdYxlf/BYKl/MwbTnxTW1NYU",
	"foiNfc0O+1AdVvg3gKyJ6arNea/6jxN8koll/c3435DCF6Ww0yD3v7AudUz/iSOAbSX5Mg",
	"OsX3PIJnpifxNk/4JkLe5xXhjTqvU4OWxtDhiu3cFhae7HY0kBJFYtS38jm7WXsWKskkuf",
	"sVSPw2UvymHLpwGt2O68wXE+qAdSgI3vQYCJsdXZwrHSfYulvjJYb5MGXyaVpc3/pS5eti",
	"8HWdPTbHFk72FCJ5G1F6xSU6uDyR4kCvc2YtZU/G9Aa3XCEAjQWO9nsqytEEvtqICNDPD0",
	"nkhYX4WLMYSBsAar2J/hwlQfa1PpYdtG/opwValayQL+te1FX/igFdbujLFbMV+Yai9Dx+",
	"pXAcg6+QAAU9rFprR6YNsrtt3BhEtsdbJgx72nBdbTpK2qapUefwYAsm16Gi2s2zYBptT2",
	"gdGBtcVgNbcmLKyKXKvzZVfbGvYeOFh1GwYHvkePtSMr3M8ose7TexRZ2rK2VAwElqk2mR",
	"Zcge0IBrZjOkpkSpuIf80CY38GER6wldVDRsXW+tAWa11fEwM/hMbYNqeFdaayNowOl3q1",
	"oy4XwPIPLcLHJlhF1vahTtZ5sJV80Qzk18yxXSfeqqKDqV50BP8sHOs/iOxlKNgEa6o2Z5",
	"Kl/3iyfy7Ykl+jwzanlDHV1a6xVuez0y/6g2x1W2IjTy+ihOUiSz/og1XV9iATmL5YeV+G",
	"DT6S7/FwrZiy2h08VqcaoZOFqR70xKpN6931+Kr7ZUZh8UFkrOr7NgHp/QcL24JxY/8Bgs",
	"Ulpv+TxNr0P8ApoODPwU7/8YLFNqeLE/ihnW3G6seylIZltSYCQS9Lvy3BVowUS/2UamNr",
	"t6mUsLlKaYlrsLj2lBGrfpkiVhtAC6sVUwhfcoAS8AoutWI42W53xFjbnTNWaTVs75FZGh",
	"8kH5SF9VoE7LVS30MBmVqdKfYgLPgyoazqlNqlegEDm4qnViWmdgwWlge+x4iVVfJqHxTJ",
	"xr62Gax+hoS1Opyw22SpRQWUMjz80EzTZNsftvnKdowgG0EwstyHPthtmCpWKbVgPFjxZ9",
	"RgyUTOtm2wqh1h4WrD7ZS28NrSFLsdRbHLN3L/GWGsK3bC0qleWjt6YxwHB1MPrEsmI57g",
	"Ur/KXwOuPgTK5kqybUdf9j5UnmLDWjA7TG2b02Vfhbc5gPA/jDDVmHoEq2pZLwqDlW5TSq",
	"f1RW6Qdw/68DLtv4M6sEuAiSggROCYZdIBoPYcqNCOb9HU52G9ZUZxMSMxqDV3AMjtWyTj",
	"ESwfXPCg6yCVb95QEUwlt/46WzYGt+DCCd0i/fsikjq7kkGlQbSSZ7Nkreg8j4gxOyhBJa",
	"J4WbMIPuyw3bFNemTYFAj/x5IFW0zs0+kgNgHsMmsqeRgGDABt6CjXqPvBwpIfDwpYVHYX",
	"3YS3Vjkmt96+81UmsorTcx+wwVmadIlvixguhlgBEeDZtT1opSuZLe5gA7E3xkv/jqpsEK",
	"4oOzoQHCZk6ceXU1IkvlcZwikBhdd8rrpw3d9P6+I2dBcQ7RF8zMcYtFT1jiPZRmQj/Doe",
	"dxxURNP3xQlw4EkrEcb0njSNeQ+c5yP+",
]);
