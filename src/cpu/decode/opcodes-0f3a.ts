/**
 * The three-byte map 0F 3A: SSE4 instructions with an immediate byte.
 * `opcode-text.ts` explains the notation. Two lines for one opcode mean that
 * the register form and the memory form differ in width.
 *
 * @journey E:126 The 0F 3A opcodes
 */

/** Intel SDM vol. 2, appendix A, "Three-byte Opcode Map". */
export const OPCODES_0F3A = `
66.08   ROUNDPS     Vdq,Wdq,Ib      sse41
66.09   ROUNDPD     Vdq,Wdq,Ib      sse41
66.0A   ROUNDSS     Vd,Wd,Ib        sse41
66.0B   ROUNDSD     Vq,Wq,Ib        sse41
66.0C   BLENDPS     Vdq,Wdq,Ib      sse41
66.0D   BLENDPD     Vdq,Wdq,Ib      sse41
66.0E   PBLENDW     Vdq,Wdq,Ib      sse41
np.0F   PALIGNR     Pq,Qq,Ib        ssse3
66.0F   PALIGNR     Vdq,Wdq,Ib      ssse3

66.14   PEXTRB      Rd,Vdq,Ib       sse41
66.14   PEXTRB      Mb,Vdq,Ib       sse41
66.15   PEXTRW      Rd,Vdq,Ib       sse41
66.15   PEXTRW      Mw,Vdq,Ib       sse41
66.16   PEXTRD      Ey,Vdq,Ib       sse41
66.17   EXTRACTPS   Ed,Vdq,Ib       sse41

66.20   PINSRB      Vdq,Rd,Ib       sse41
66.20   PINSRB      Vdq,Mb,Ib       sse41
66.21   INSERTPS    Vdq,Udq,Ib      sse41
66.21   INSERTPS    Vdq,Md,Ib       sse41
66.22   PINSRD      Vdq,Ey,Ib       sse41

66.40   DPPS        Vdq,Wdq,Ib      sse41
66.41   DPPD        Vdq,Wdq,Ib      sse41
66.42   MPSADBW     Vdq,Wdq,Ib      sse41

66.60   PCMPESTRM   Vdq,Wdq,Ib      sse42
66.61   PCMPESTRI   Vdq,Wdq,Ib      sse42
66.62   PCMPISTRM   Vdq,Wdq,Ib      sse42
66.63   PCMPISTRI   Vdq,Wdq,Ib      sse42
`;
