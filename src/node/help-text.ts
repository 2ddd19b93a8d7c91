/**
 * What `lguest --help` prints. Kept as one text so that it can be read, and
 * reviewed, the way its readers see it.
 *
 * Relies on nothing; `cli.ts` relies on it.
 *
 * @journey L:112 The manual in one screen
 */

export const HELP_TEXT = `lguest: run Linux guests on an x86 CPU made of WebAssembly

Usage:
  lguest run [options] KERNEL [-- kernel arguments...]
  lguest --help | --version

KERNEL is a Linux bzImage (vmlinuz), an ELF vmlinux or a multiboot image, for
32-bit x86. The guest's first serial port is your terminal.

Options:
  --memory SIZE      guest memory, 256M unless given (K, M, G; M if none)
  --initrd FILE      initial RAM disk; the first module of a multiboot image
  --clock KIND       wall: the guest's time is yours (default)
                     virtual: time is instructions, so that a run without
                     input is the same every time
  --engine NAME      cold: the interpreter (default)
                     auto: compiles hot loops as well; new, and faster
  --unpack yes|no    unpack the kernel before the start, which is faster
                     (default), or leave it to the kernel
  --disk FILE[,ro|,overlay]
                     a raw image as virtio disk: /dev/vda, then vdb, ...
                     ro: the guest may not write; overlay: what it writes
                     is forgotten at the end
  --rng              a virtio source of entropy: /dev/hwrng
  --transport KIND   how the guest reaches its virtio devices: mmio, or
                     mmio-legacy for drivers from before virtio 1.0
  --debug-exit PORT  a value the guest writes to this I/O port ends lguest
                     with that value as its status
  --stats FILE       write counters as JSON when it ends
  -h, --help         this text
  -V, --version      the version

Kernel arguments are passed on as they are. If they name no console=, Linux
kernels also get console=ttyS0, for nothing would be seen otherwise.

Keys go to the guest, Ctrl-C too; three Ctrl-C within a second end lguest. A
serial line does not know the size of your window: in the guest, use stty rows
ROWS cols COLUMNS. Input and output may be files and pipes.

Exit status: 0 the guest powered off, 2 wrong usage or input, 3 the guest
crashed (triple fault), 130 three Ctrl-C, 143 SIGTERM, or the value written to
the debug exit. A guest that reboots is started again.

Examples:
  lguest run vmlinuz
  lguest run --memory 512M --initrd initrd.img vmlinuz -- quiet
  echo 'uname -a; poweroff -f' | lguest run --initrd busybox.cpio.gz vmlinuz
  lguest run --debug-exit 0xf4 test.elf; echo $?
`;
