/**
 * The two-byte map (0F xx) as far as it is integer and system work; the MMX
 * and SSE rows of the same map are in `opcodes-simd.ts`. `opcode-text.ts`
 * explains the notation.
 *
 * @journey E:118 The two-byte opcodes
 */

/** Intel SDM vol. 2, appendix A, "Two-byte Opcode Map" and "Opcode Extensions". */
export const OPCODES_0F = `
00/0    SLDT    Rv              sys
00/0    SLDT    Mw              sys
00/1    STR     Rv              sys
00/1    STR     Mw              sys
00/2    LLDT    Ew              sys
00/3    LTR     Ew              sys
00/4    VERR    Ew              sys
00/5    VERW    Ew              sys
01/0    SGDT    Ms              f64 sys
01/0/rm1 VMCALL                 vmx end sys
01/1    SIDT    Ms              f64 sys
01/1/rm0 MONITOR                monitor sys
01/1/rm1 MWAIT                  monitor end sys
01/1/rm2 CLAC                   smap end sys
01/1/rm3 STAC                   smap end sys
01/2    LGDT    Ms              f64 sys
01/3    LIDT    Ms              f64 sys
01/3/rm1 VMMCALL                vmx end sys
01/4    SMSW    Rv              sys
01/4    SMSW    Mw              sys
01/6    LMSW    Ew              end sys
01/7    INVLPG  Mb              end sys
01/7/rm0 SWAPGS                 lm o64 sys
01/7/rm1 RDTSCP                 rdtscp
02      LAR     Gv,Ew           sys
03      LSL     Gv,Ew           sys
05      SYSCALL                 syscall end sys
06      CLTS                    end sys
07      SYSRET                  syscall end sys
08      INVD                    sys
09      WBINVD                  sys
0B      UD2                     end
0D/1    PREFETCHW Mb            3dnowprefetch
0D      PREFETCH  Mb            3dnowprefetch

18/0    PREFETCHNTA Mb          sse
18/1    PREFETCHT0  Mb          sse
18/2    PREFETCHT1  Mb          sse
18/3    PREFETCHT2  Mb          sse
18      NOP     Ev                      ; 18 to 1F are reserved hints
19      NOP     Ev
1A      NOP     Ev
1B      NOP     Ev
1C      NOP     Ev
1D      NOP     Ev
f3.1E/7/rm2 ENDBR64             cet
f3.1E/7/rm3 ENDBR32             cet
1E      NOP     Ev
1F      NOP     Ev

20      MOV     Ry,Cy           f64 sys
21      MOV     Ry,Dy           f64 sys
22      MOV     Cy,Ry           f64 end sys
23      MOV     Dy,Ry           f64 end sys

30      WRMSR                   msr end sys
31      RDTSC                   tsc
32      RDMSR                   msr sys
33      RDPMC                   sys
34      SYSENTER                sep end sys
35      SYSEXIT                 sep end sys

40      CMOVO   Gv,Ev           cmov
41      CMOVNO  Gv,Ev           cmov
42      CMOVB   Gv,Ev           cmov
43      CMOVNB  Gv,Ev           cmov
44      CMOVZ   Gv,Ev           cmov
45      CMOVNZ  Gv,Ev           cmov
46      CMOVBE  Gv,Ev           cmov
47      CMOVNBE Gv,Ev           cmov
48      CMOVS   Gv,Ev           cmov
49      CMOVNS  Gv,Ev           cmov
4A      CMOVP   Gv,Ev           cmov
4B      CMOVNP  Gv,Ev           cmov
4C      CMOVL   Gv,Ev           cmov
4D      CMOVNL  Gv,Ev           cmov
4E      CMOVLE  Gv,Ev           cmov
4F      CMOVNLE Gv,Ev           cmov

80      JO      Jz              f64 end
81      JNO     Jz              f64 end
82      JB      Jz              f64 end
83      JNB     Jz              f64 end
84      JZ      Jz              f64 end
85      JNZ     Jz              f64 end
86      JBE     Jz              f64 end
87      JNBE    Jz              f64 end
88      JS      Jz              f64 end
89      JNS     Jz              f64 end
8A      JP      Jz              f64 end
8B      JNP     Jz              f64 end
8C      JL      Jz              f64 end
8D      JNL     Jz              f64 end
8E      JLE     Jz              f64 end
8F      JNLE    Jz              f64 end

90      SETO    Eb
91      SETNO   Eb
92      SETB    Eb
93      SETNB   Eb
94      SETZ    Eb
95      SETNZ   Eb
96      SETBE   Eb
97      SETNBE  Eb
98      SETS    Eb
99      SETNS   Eb
9A      SETP    Eb
9B      SETNP   Eb
9C      SETL    Eb
9D      SETNL   Eb
9E      SETLE   Eb
9F      SETNLE  Eb

A0      PUSH    FS              d64
A1      POP     FS              d64 end
A2      CPUID
A3      BT      Ev,Gv
A4      SHLD    Ev,Gv,Ib
A5      SHLD    Ev,Gv,CL
A8      PUSH    GS              d64
A9      POP     GS              d64 end
AA      RSM                     end sys
AB      BTS     Ev,Gv           lock
AC      SHRD    Ev,Gv,Ib
AD      SHRD    Ev,Gv,CL
np.AE/0 FXSAVE  M512            fxsr
np.AE/1 FXRSTOR M512            fxsr
np.AE/2 LDMXCSR Md              sse
np.AE/3 STMXCSR Md              sse
np.AE/5/reg LFENCE              sse2
np.AE/6/reg MFENCE              sse2
np.AE/7/reg SFENCE              sse
np.AE/7 CLFLUSH Mb              clfsh
AF      IMUL    Gv,Ev

B0      CMPXCHG Eb,Gb           lock
B1      CMPXCHG Ev,Gv           lock
B2      LSS     Gv,Mp           end
B3      BTR     Ev,Gv           lock
B4      LFS     Gv,Mp           end
B5      LGS     Gv,Mp           end
B6      MOVZX   Gv,Eb
B7      MOVZX   Gv,Ew
f3.B8   POPCNT  Gv,Ev           popcnt
B9      UD1     Gv,Ev           end
BA/4    BT      Ev,Ib
BA/5    BTS     Ev,Ib           lock
BA/6    BTR     Ev,Ib           lock
BA/7    BTC     Ev,Ib           lock
BB      BTC     Ev,Gv           lock
f3.BC   TZCNT   Gv,Ev           bmi1            ; F3 is ignored, and this is BSF, on processors without BMI1
BC      BSF     Gv,Ev
f3.BD   LZCNT   Gv,Ev           abm             ; likewise BSR
BD      BSR     Gv,Ev
BE      MOVSX   Gv,Eb
BF      MOVSX   Gv,Ew

C0      XADD    Eb,Gb           lock
C1      XADD    Ev,Gv           lock
C7/1/w0 CMPXCHG8B  Mq           lock cx8
C7/1/w1 CMPXCHG16B Mdq          lock cx16
np.C7/6 RDRAND  Rv              rdrand          ; twice, because it is #UD after F2 and F3
66.C7/6 RDRAND  Rv              rdrand
C8+     BSWAP   Zv

FF      UD0     Gv,Ev           end
`;
