/**
 * What `--help` says beside the options: the examples and what a user must know
 * before the first run. Kept as text so that it can be read, and reviewed, the
 * way its readers see it.
 *
 * Relies on nothing; `arguments.ts` relies on it.
 *
 * @journey L:112 The manual in one screen
 */

/** Below `lguest --help`, which is to fit 24 lines. */
export const PROGRAM_HELP = `
"lguest run --help" lists the options.

Examples:
  lguest
  echo hi | lguest run -- tr a-z A-Z
  lguest run vmlinuz
  lguest run --memory 512M --initrd initrd.img vmlinuz -- quiet
  lguest run --disk disk.img,overlay vmlinuz -- root=/dev/vda
`;

/** Below `lguest info --help`. */
export const INFO_HELP = `
Says of each file what kind of kernel it is, its version, how it is packed,
whether it can be an lguest Guest, and how lguest would run it.
`;

/** Below `lguest disk --help`. */
export const DISK_HELP = `
info     says how large the disk is, what it is on top of, and how much of it
         the image holds itself.
commit   writes what an overlay holds into the disk below it. The overlay is
         empty afterwards; other overlays of that disk are noise then.
discard  throws away what an overlay holds.

An image called .qcow2 is qcow2, any other raw, unless format= says otherwise.
No guest may be using the images.

Examples:
  lguest run --disk disk.img,overlay=changes.qcow2 vmlinuz -- root=/dev/vda
  lguest disk commit changes.qcow2
`;

/** Below `lguest run --help`. */
export const RUN_HELP = `
The kernel is a Linux bzImage (vmlinuz), an ELF vmlinux or a multiboot image,
for 32-bit x86. The guest's first serial port is your terminal or pipe.

What stands behind -- goes to the kernel as it is. Linux kernels that are told
no console= also get one, for nothing would be seen otherwise. Without a kernel,
what stands behind -- is a command that the default guest runs.

Keys go to the guest, Ctrl-C too; three Ctrl-C within a second end lguest.

Exit status: 0 the guest powered off, 1 something went wrong here, 2 wrong
usage or input, 3 the guest crashed (triple fault), 130 three Ctrl-C, 143
SIGTERM, or the value written to the debug exit; of a command its own, 126 it
could not be run, 127 not found. A guest that reboots is started again.

Examples:
  echo 'uname -a; poweroff -f' | lguest run --initrd busybox.cpio.gz vmlinuz
  lguest run --debug-exit 0xf4 test.elf; echo $?
`;
