"""Forbid system calls by a seccomp filter, which needs no privilege and holds in a container, too (Linux, x86-64)."""

import ctypes
import errno
import os
import platform

from understudy.gateway.scoring import x86_64
from understudy.gateway.scoring.libc import call

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, EQUALS, AT_LEAST, HAS_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CLONE_THREAD = 0x00010000

Instruction = tuple[int, int, int, int]


class _Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter))]


def forbid_system_calls() -> list[str]:
    """Forbid sockets, writing, other programs and signals to others, and say so; nothing on other platforms.

    :raises OSError: where the kernel does not take the filter.
    """
    if platform.machine() != "x86_64":
        return []
    instructions = _program(os.getpid())
    filters = (_Filter * len(instructions))(*(_Filter(*instruction) for instruction in instructions))
    program = _Program(len(instructions), ctypes.cast(filters, ctypes.POINTER(_Filter)))
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0)
    return ["no network", "no writing", "no other programs", "no signals to others"]


def _program(pid: int) -> list[Instruction]:
    forbidden = _fail(errno.EPERM)
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUALS, 1, 0, x86_64.AUDIT_ARCH),
        forbidden,
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, x86_64.X32),  # the same calls under other numbers
        forbidden,
    ]
    for number in x86_64.FORBIDDEN:
        program += [(EQUALS, 0, 1, number), forbidden]
    for number in x86_64.ABSENT:
        # As if the kernel were older: the C library then takes the older call, whose arguments can be seen here.
        program += [(EQUALS, 0, 1, number), _fail(errno.ENOSYS)]
    for number, place in x86_64.OPENING:
        program += _unless(number, place, [(HAS_BIT, 0, 1, WRITING), forbidden])
    program += _unless(x86_64.CLONE, 0, [(HAS_BIT, 1, 0, CLONE_THREAD), forbidden])
    for number in x86_64.SIGNALLING:
        program += _unless(number, 0, [(EQUALS, 1, 0, pid), forbidden])
    return [*program, (RETURN, 0, 0, ALLOW)]


def _unless(number: int, place: int, test: list[Instruction]) -> list[Instruction]:
    """Test the lower half of an argument of one call."""
    body = [(LOAD, 0, 0, ARGUMENTS + 8 * place), *test, (RETURN, 0, 0, ALLOW)]
    return [(EQUALS, 0, len(body), number), *body]


def _fail(error: int) -> Instruction:
    return (RETURN, 0, 0, FAIL | error)
