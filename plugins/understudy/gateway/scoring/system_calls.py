"""Forbid system calls by a seccomp filter, which needs no privilege and holds in a container, too (Linux)."""

import ctypes
import errno
import os
import platform
import sys
from types import ModuleType

from understudy.contract.words import Confinement
from understudy.gateway.scoring import aarch64, x86_64
from understudy.gateway.scoring.libc import call

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, EQUALS, AT_LEAST, HAS_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CLONE_THREAD = 0x00010000

TABLES: dict[str, ModuleType] = {"x86_64": x86_64, "aarch64": aarch64}
NETWORK = (
    "socket",
    "connect",
    "accept",
    "bind",
    "listen",
    "accept4",
)
PROGRAMS = (
    "fork",
    "vfork",
    "execve",
    "execveat",
)
CHANGES = (
    "creat",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "rmdir",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "truncate",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
)
OTHERS = (
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "tkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_open",
    "pidfd_send_signal",
    "pidfd_getfd",
)
MACHINE = (
    "mount",
    "umount2",
    "chroot",
    "pivot_root",
    "setns",
    "unshare",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "open_by_handle_at",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "reboot",
    "swapon",
    "swapoff",
    "keyctl",
)
FORBIDDEN = (*NETWORK, *PROGRAMS, *CHANGES, *OTHERS, *MACHINE)
ABSENT = ("clone3", "openat2")
OPENING = {"open": 1, "openat": 2}
"""Which argument holds the flags."""
CLONE = "clone"
SIGNALLING = ("kill", "tgkill")

Instruction = tuple[int, int, int, int]


class _Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter))]


def forbid_system_calls() -> list[Confinement]:
    """Forbid sockets, writing, other programs and signals to others, and say so; nothing on other platforms.

    :raises OSError: where the kernel does not take the filter.
    """
    table = TABLES.get(platform.machine())
    # Python for 32 bits on a 64-bit kernel makes calls of other numbers.
    if not sys.platform.startswith("linux") or table is None or sys.maxsize < 1 << 32:
        return []
    instructions = instructions_for(table, os.getpid())
    filters = (_Filter * len(instructions))(*(_Filter(*instruction) for instruction in instructions))
    program = _Program(len(instructions), ctypes.cast(filters, ctypes.POINTER(_Filter)))
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0)
    return [
        Confinement.NO_NETWORK,
        Confinement.NO_WRITING,
        Confinement.NO_PROGRAMS,
        Confinement.NO_SIGNALS,
    ]


def instructions_for(table: ModuleType, pid: int) -> list[Instruction]:
    """Write the filter for an architecture and one process."""
    numbers: dict[str, int] = table.NUMBERS
    forbidden = _fail(errno.EPERM)
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUALS, 1, 0, table.AUDIT_ARCH),
        forbidden,
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, table.FIRST_FOREIGN),
        forbidden,
    ]
    for number in (numbers[name] for name in FORBIDDEN if name in numbers):
        program += [(EQUALS, 0, 1, number), forbidden]
    for number in (numbers[name] for name in ABSENT):
        # As if the kernel were older: the C library then takes the older call, whose arguments can be seen here.
        program += [(EQUALS, 0, 1, number), _fail(errno.ENOSYS)]
    for name, place in OPENING.items():
        if name in numbers:
            program += _unless(numbers[name], place, [(HAS_BIT, 0, 1, WRITING), forbidden])
    program += _unless(numbers[CLONE], 0, [(HAS_BIT, 1, 0, CLONE_THREAD), forbidden])
    for number in (numbers[name] for name in SIGNALLING):
        program += _unless(number, 0, [(EQUALS, 1, 0, pid), forbidden])
    return [*program, (RETURN, 0, 0, ALLOW)]


def _unless(number: int, place: int, test: list[Instruction]) -> list[Instruction]:
    """Test the lower half of an argument of one call."""
    body = [(LOAD, 0, 0, ARGUMENTS + 8 * place), *test, (RETURN, 0, 0, ALLOW)]
    return [(EQUALS, 0, len(body), number), *body]


def _fail(error: int) -> Instruction:
    return (RETURN, 0, 0, FAIL | error)
