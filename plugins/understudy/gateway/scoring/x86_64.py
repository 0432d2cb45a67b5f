"""System calls by number on x86-64 (Linux: arch/x86/entry/syscalls/syscall_64.tbl)."""

AUDIT_ARCH = 0xC000003E
X32 = 0x40000000

NETWORK = (41, 42, 43, 49, 50, 288)  # socket, connect, accept, bind, listen, accept4
PROGRAMS = (57, 58, 59, 322)  # fork, vfork, execve, execveat
# creat, rename*, mkdir*, rmdir, link*, unlink*, symlink*, mknod*, truncate, chmod*, chown*, set- and removexattr*
CHANGES = (
    *(85, 82, 264, 316, 83, 258, 84, 86, 265, 87, 263, 88, 266, 133, 259, 76, 90, 91, 268, 452),
    *(92, 93, 94, 260, 188, 189, 190, 197, 198, 199),
)
# ptrace, process_vm_readv and _writev, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_open, pidfd_send_signal,
# pidfd_getfd
OTHERS = (101, 310, 311, 200, 129, 297, 434, 424, 438)
# mount, umount2, chroot, pivot_root, setns, unshare, bpf, perf_event_open, userfaultfd, open_by_handle_at, io_uring_*,
# init_module, finit_module, delete_module, kexec_load, reboot, swapon, swapoff, keyctl
MACHINE = (165, 166, 161, 155, 308, 272, 321, 298, 323, 304, 425, 426, 427, 175, 313, 176, 246, 169, 167, 168, 250)
FORBIDDEN = (*NETWORK, *PROGRAMS, *CHANGES, *OTHERS, *MACHINE)

ABSENT = (435, 437)  # clone3, openat2
OPENING = ((2, 1), (257, 2))  # open, openat, and which argument holds the flags
CLONE = 56
SIGNALLING = (62, 234)  # kill, tgkill
