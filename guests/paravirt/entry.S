/*
 * Where the Guest begins, how it is interrupted, and how it gets to user mode
 * and back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lguest.h"

#define P(symbol) (symbol - PAGE_OFFSET)

.section .head, "ax"
.globl _start
_start:
	/* At physical addresses. First of all, tables for later: 16 MiB, there and in the kernel. */
	movl $P(page_tables), %edi
	movl $0x67, %eax
	movl $4096, %ecx
1:	movl %eax, (%edi)
	addl $4, %edi
	addl $0x1000, %eax
	loop 1b
	movl $P(page_directory), %edi
	movl $P(page_tables) + 0x67, %eax
	movl $4, %ecx
2:	movl %eax, (%edi)
	movl %eax, (PAGE_OFFSET >> 20)(%edi)
	addl $4, %edi
	addl $0x1000, %eax
	loop 2b

#if DIALECT <= 'D'
	movl $P(lguest_data), %edx
#else
	movl $P(lguest_data), %ebx
#endif
	movl $LHCALL_LGUEST_INIT, %eax
#if USES_VMCALL
	.byte 0x0f, 0x01, 0xc1
#else
	int $0x1f
#endif

#if COPIES_DIRECTORY
	movl P(lguest_data) + 1116, %esi
	leal (PAGE_OFFSET >> 20)(%esi), %edi
	movl $32, %ecx
	rep movsl
#elif IS_L3
	movl $P(page_directory), %ebx
	movl $LHCALL_NEW_PGTABLE, %eax
	int $0x1f
#endif
	movl $boot_stack_top, %esp
	movl $main, %eax
	jmp *%eax

.text

/* Exceptions, interrupts, and everything between, up to the system calls' 0x80. */
.macro stub vector, has_error
	.balign 16
	.if !\has_error
	pushl $0
	.endif
	pushl $\vector
	jmp trap_common
.endm

.balign 16
.globl trap_stubs
trap_stubs:
.set vector, 0
.rept 129
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
	stub vector, 1
	.else
	stub vector, 0
	.endif
	.set vector, vector + 1
.endr

trap_common:
	pushl %es
	pushl %ds
	pushal
	cld
	movl $KERNEL_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	pushl %esp
	call handle_trap
	addl $4, %esp
	popal
	popl %ds
	popl %es
	addl $8, %esp

	/* As Linux does it: from the store to behind IRET, no interrupt may come. */
	pushl %eax
	movl 12(%esp), %eax
.globl noirq_begin, noirq_finish
noirq_begin:
	movl %eax, %ss:lguest_data
	popl %eax
	iret
noirq_finish:

/* Each may fault at its one instruction; the handler then goes on at probe_return. */
.globl probe_read, probe_write, probe_undefined, probe_fpu, probe_return
probe_read:
	movl 4(%esp), %eax
	movl (%eax), %eax
probe_return:
	ret
probe_write:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	movl %edx, (%eax)
	ret
probe_undefined:
	ud2
	ret
probe_fpu:
	fninit
	ret

/* To user mode; comes back by leave_user. */
.globl enter_user, leave_user
enter_user:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl %esp, kernel_esp
	movl $USER_DS, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	pushl $USER_DS
	pushl %edx
	pushl $0x202
	pushl $USER_CS
	pushl %eax
	/* Interrupts are on in user mode. */
	pushl %eax
	movl $0x202, %eax
	jmp noirq_begin
leave_user:
	movl 4(%esp), %eax
	movl kernel_esp, %esp
	movl $KERNEL_DS, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret

/*
 * The program in user mode: a system call, a breakpoint, a page that is not
 * there yet, an instruction it may not execute, a while without any of them,
 * and the way out. EBP counts what went well.
 */
.section .user, "awx"
.balign 4096
.globl user_page, user_flag, user_tls
user_page:
	xorl %ebp, %ebp
	movl $1, %eax
	movl $41, %ebx
	int $0x80
	cmpl $42, %eax
	jne 1f
	incl %ebp
1:	int3
	incl %ebp
	movl 0x0a000000, %eax
	cmpl $0x5a5a5a5a, %eax
	jne 2f
	incl %ebp
2:	cli
	incl %ebp
	movl %gs:0, %eax
	cmpl $0x715715, %eax
	jne 3f
	incl %ebp
3:	movl $2, %eax
	int $0x80
4:	cmpl $0, user_flag - user_page + USER_ADDRESS
	je 4b
	movl $3, %eax
	movl %ebp, %ebx
	int $0x80
	jmp .
user_flag:
	.long 0
user_tls:
	.long 0x715715
	.balign 4096

.bss
.balign 4096
.globl page_directory, page_tables
page_directory:
	.skip 4096
page_tables:
	.skip 4 * 4096
boot_stack:
	.skip 16384
boot_stack_top:
kernel_esp:
	.skip 4
.section .note.GNU-stack, ""
