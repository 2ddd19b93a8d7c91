/**
 * The three-byte map 0F 38: SSSE3 to SSE4.2, MOVBE and CRC32. The last two
 * share their opcodes; there 66 keeps its meaning as operand-size prefix even
 * beside F2. MOVBE is written twice, with and without 66, because F3 before
 * it is #UD. `opcode-text.ts` explains the notation.
 *
 * @journey E:124 The 0F 38 opcodes
 */

/** Intel SDM vol. 2, appendix A, "Three-byte Opcode Map". */
export const OPCODES_0F38 = `
np.00   PSHUFB      Pq,Qq           ssse3
66.00   PSHUFB      Vdq,Wdq         ssse3
np.01   PHADDW      Pq,Qq           ssse3
66.01   PHADDW      Vdq,Wdq         ssse3
np.02   PHADDD      Pq,Qq           ssse3
66.02   PHADDD      Vdq,Wdq         ssse3
np.03   PHADDSW     Pq,Qq           ssse3
66.03   PHADDSW     Vdq,Wdq         ssse3
np.04   PMADDUBSW   Pq,Qq           ssse3
66.04   PMADDUBSW   Vdq,Wdq         ssse3
np.05   PHSUBW      Pq,Qq           ssse3
66.05   PHSUBW      Vdq,Wdq         ssse3
np.06   PHSUBD      Pq,Qq           ssse3
66.06   PHSUBD      Vdq,Wdq         ssse3
np.07   PHSUBSW     Pq,Qq           ssse3
66.07   PHSUBSW     Vdq,Wdq         ssse3
np.08   PSIGNB      Pq,Qq           ssse3
66.08   PSIGNB      Vdq,Wdq         ssse3
np.09   PSIGNW      Pq,Qq           ssse3
66.09   PSIGNW      Vdq,Wdq         ssse3
np.0A   PSIGND      Pq,Qq           ssse3
66.0A   PSIGND      Vdq,Wdq         ssse3
np.0B   PMULHRSW    Pq,Qq           ssse3
66.0B   PMULHRSW    Vdq,Wdq         ssse3

66.10   PBLENDVB    Vdq,Wdq,XMM0    sse41
66.14   BLENDVPS    Vdq,Wdq,XMM0    sse41
66.15   BLENDVPD    Vdq,Wdq,XMM0    sse41
66.17   PTEST       Vdq,Wdq         sse41
np.1C   PABSB       Pq,Qq           ssse3
66.1C   PABSB       Vdq,Wdq         ssse3
np.1D   PABSW       Pq,Qq           ssse3
66.1D   PABSW       Vdq,Wdq         ssse3
np.1E   PABSD       Pq,Qq           ssse3
66.1E   PABSD       Vdq,Wdq         ssse3

66.20   PMOVSXBW    Vdq,Wq          sse41
66.21   PMOVSXBD    Vdq,Wd          sse41
66.22   PMOVSXBQ    Vdq,Ww          sse41
66.23   PMOVSXWD    Vdq,Wq          sse41
66.24   PMOVSXWQ    Vdq,Wd          sse41
66.25   PMOVSXDQ    Vdq,Wq          sse41
66.28   PMULDQ      Vdq,Wdq         sse41
66.29   PCMPEQQ     Vdq,Wdq         sse41
66.2A   MOVNTDQA    Vdq,Mdq         sse41
66.2B   PACKUSDW    Vdq,Wdq         sse41

66.30   PMOVZXBW    Vdq,Wq          sse41
66.31   PMOVZXBD    Vdq,Wd          sse41
66.32   PMOVZXBQ    Vdq,Ww          sse41
66.33   PMOVZXWD    Vdq,Wq          sse41
66.34   PMOVZXWQ    Vdq,Wd          sse41
66.35   PMOVZXDQ    Vdq,Wq          sse41
66.37   PCMPGTQ     Vdq,Wdq         sse42
66.38   PMINSB      Vdq,Wdq         sse41
66.39   PMINSD      Vdq,Wdq         sse41
66.3A   PMINUW      Vdq,Wdq         sse41
66.3B   PMINUD      Vdq,Wdq         sse41
66.3C   PMAXSB      Vdq,Wdq         sse41
66.3D   PMAXSD      Vdq,Wdq         sse41
66.3E   PMAXUW      Vdq,Wdq         sse41
66.3F   PMAXUD      Vdq,Wdq         sse41

66.40   PMULLD      Vdq,Wdq         sse41
66.41   PHMINPOSUW  Vdq,Wdq         sse41

f2.F0   CRC32       Gd,Eb           sse42
np.F0   MOVBE       Gv,Mv           movbe
66.F0   MOVBE       Gv,Mv           movbe
f2.F1   CRC32       Gd,Ev           sse42
np.F1   MOVBE       Mv,Gv           movbe
66.F1   MOVBE       Mv,Gv           movbe
`;
