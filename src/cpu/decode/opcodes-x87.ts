/**
 * The x87 escape opcodes D8 to DF. Each has a memory half (mod < 3, chosen by
 * the reg field) and a register half, where most of the r/m field names ST(i)
 * but some encodings use it as a further opcode. `opcode-text.ts` explains
 * the notation.
 *
 * Instructions are named by their no-wait spelling (FNSTCW, FNINIT): the wait
 * is a separate FWAIT byte. The lines marked "alias" are undocumented second
 * encodings which every processor since the 387 executes.
 *
 * @journey E:120 The x87 opcodes
 */

/** Intel SDM vol. 2, appendix A, "Escape Opcode Instructions". */
export const X87_OPCODES = `
D8/0    FADD    Md              x87
D8/1    FMUL    Md              x87
D8/2    FCOM    Md              x87
D8/3    FCOMP   Md              x87
D8/4    FSUB    Md              x87
D8/5    FSUBR   Md              x87
D8/6    FDIV    Md              x87
D8/7    FDIVR   Md              x87
D8/0/reg FADD   ST0,STi         x87
D8/1/reg FMUL   ST0,STi         x87
D8/2/reg FCOM   STi             x87
D8/3/reg FCOMP  STi             x87
D8/4/reg FSUB   ST0,STi         x87
D8/5/reg FSUBR  ST0,STi         x87
D8/6/reg FDIV   ST0,STi         x87
D8/7/reg FDIVR  ST0,STi         x87

D9/0    FLD     Md              x87
D9/2    FST     Md              x87
D9/3    FSTP    Md              x87
D9/4    FLDENV  M28             x87
D9/5    FLDCW   Mw              x87
D9/6    FNSTENV M28             x87
D9/7    FNSTCW  Mw              x87
D9/0/reg FLD    STi             x87
D9/1/reg FXCH   STi             x87
D9/2/rm0 FNOP                   x87
D9/3/reg FSTPNCE STi            x87     ; alias of FSTP that raises no stack underflow
D9/4/rm0 FCHS                   x87
D9/4/rm1 FABS                   x87
D9/4/rm4 FTST                   x87
D9/4/rm5 FXAM                   x87
D9/5/rm0 FLD1                   x87
D9/5/rm1 FLDL2T                 x87
D9/5/rm2 FLDL2E                 x87
D9/5/rm3 FLDPI                  x87
D9/5/rm4 FLDLG2                 x87
D9/5/rm5 FLDLN2                 x87
D9/5/rm6 FLDZ                   x87
D9/6/rm0 F2XM1                  x87
D9/6/rm1 FYL2X                  x87
D9/6/rm2 FPTAN                  x87
D9/6/rm3 FPATAN                 x87
D9/6/rm4 FXTRACT                x87
D9/6/rm5 FPREM1                 x87
D9/6/rm6 FDECSTP                x87
D9/6/rm7 FINCSTP                x87
D9/7/rm0 FPREM                  x87
D9/7/rm1 FYL2XP1                x87
D9/7/rm2 FSQRT                  x87
D9/7/rm3 FSINCOS                x87
D9/7/rm4 FRNDINT                x87
D9/7/rm5 FSCALE                 x87
D9/7/rm6 FSIN                   x87
D9/7/rm7 FCOS                   x87

DA/0    FIADD   Md              x87
DA/1    FIMUL   Md              x87
DA/2    FICOM   Md              x87
DA/3    FICOMP  Md              x87
DA/4    FISUB   Md              x87
DA/5    FISUBR  Md              x87
DA/6    FIDIV   Md              x87
DA/7    FIDIVR  Md              x87
DA/0/reg FCMOVB  ST0,STi        x87
DA/1/reg FCMOVE  ST0,STi        x87
DA/2/reg FCMOVBE ST0,STi        x87
DA/3/reg FCMOVU  ST0,STi        x87
DA/5/rm1 FUCOMPP                x87

DB/0    FILD    Md              x87
DB/1    FISTTP  Md              sse3
DB/2    FIST    Md              x87
DB/3    FISTP   Md              x87
DB/5    FLD     Mt              x87
DB/7    FSTP    Mt              x87
DB/0/reg FCMOVNB  ST0,STi       x87
DB/1/reg FCMOVNE  ST0,STi       x87
DB/2/reg FCMOVNBE ST0,STi       x87
DB/3/reg FCMOVNU  ST0,STi       x87
DB/4/rm0 FNENI                  x87     ; 8087 only, a no-op since
DB/4/rm1 FNDISI                 x87     ; likewise
DB/4/rm2 FNCLEX                 x87
DB/4/rm3 FNINIT                 x87
DB/4/rm4 FNSETPM                x87     ; 80287 only, a no-op since
DB/5/reg FUCOMI ST0,STi         x87
DB/6/reg FCOMI  ST0,STi         x87

DC/0    FADD    Mq              x87
DC/1    FMUL    Mq              x87
DC/2    FCOM    Mq              x87
DC/3    FCOMP   Mq              x87
DC/4    FSUB    Mq              x87
DC/5    FSUBR   Mq              x87
DC/6    FDIV    Mq              x87
DC/7    FDIVR   Mq              x87
DC/0/reg FADD   STi,ST0         x87
DC/1/reg FMUL   STi,ST0         x87
DC/2/reg FCOM   STi             x87     ; alias
DC/3/reg FCOMP  STi             x87     ; alias
DC/4/reg FSUBR  STi,ST0         x87     ; the reversed forms swap here and in DE
DC/5/reg FSUB   STi,ST0         x87
DC/6/reg FDIVR  STi,ST0         x87
DC/7/reg FDIV   STi,ST0         x87

DD/0    FLD     Mq              x87
DD/1    FISTTP  Mq              sse3
DD/2    FST     Mq              x87
DD/3    FSTP    Mq              x87
DD/4    FRSTOR  M108            x87
DD/6    FNSAVE  M108            x87
DD/7    FNSTSW  Mw              x87
DD/0/reg FFREE  STi             x87
DD/1/reg FXCH   STi             x87     ; alias
DD/2/reg FST    STi             x87
DD/3/reg FSTP   STi             x87
DD/4/reg FUCOM  STi             x87
DD/5/reg FUCOMP STi             x87

DE/0    FIADD   Mw              x87
DE/1    FIMUL   Mw              x87
DE/2    FICOM   Mw              x87
DE/3    FICOMP  Mw              x87
DE/4    FISUB   Mw              x87
DE/5    FISUBR  Mw              x87
DE/6    FIDIV   Mw              x87
DE/7    FIDIVR  Mw              x87
DE/0/reg FADDP  STi,ST0         x87
DE/1/reg FMULP  STi,ST0         x87
DE/2/reg FCOMP  STi             x87     ; alias
DE/3/rm1 FCOMPP                 x87
DE/4/reg FSUBRP STi,ST0         x87
DE/5/reg FSUBP  STi,ST0         x87
DE/6/reg FDIVRP STi,ST0         x87
DE/7/reg FDIVP  STi,ST0         x87

DF/0    FILD    Mw              x87
DF/1    FISTTP  Mw              sse3
DF/2    FIST    Mw              x87
DF/3    FISTP   Mw              x87
DF/4    FBLD    Mt              x87
DF/5    FILD    Mq              x87
DF/6    FBSTP   Mt              x87
DF/7    FISTP   Mq              x87
DF/0/reg FFREEP STi             x87     ; undocumented: FFREE, then pop
DF/1/reg FXCH   STi             x87     ; alias
DF/2/reg FSTP   STi             x87     ; alias
DF/3/reg FSTP   STi             x87     ; alias
DF/4/rm0 FNSTSW AX              x87
DF/5/reg FUCOMIP ST0,STi        x87
DF/6/reg FCOMIP ST0,STi         x87
`;
