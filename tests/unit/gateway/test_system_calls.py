"""The filters forbid by number what the policy forbids by name, on each architecture."""

import errno
import os
import re
from pathlib import Path
from types import ModuleType

import pytest

from understudy.gateway.scoring import aarch64, system_calls, x86_64
from understudy.gateway.scoring.system_calls import ALLOW, FAIL, instructions_for

PID = 4711
# What 64-bit ARM never had: newer calls with a folder's descriptor or with flags do the same.
ONLY_OLD = {
    *("open", "fork", "vfork", "creat", "rename", "mkdir", "rmdir", "link", "unlink", "symlink", "mknod"),
    *("chmod", "chown", "lchown"),
}
HEADERS = {
    x86_64: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    aarch64: Path("/usr/include/asm-generic/unistd.h"),
}
BOTH = pytest.mark.parametrize("table", [x86_64, aarch64], ids=["x86_64", "aarch64"])


def answer(table: ModuleType, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Run the filter as the kernel does."""
    seen = {0: number, 4: table.AUDIT_ARCH if architecture is None else architecture}
    seen |= {16 + 8 * place: argument for place, argument in enumerate(arguments)}
    instructions, at, held = instructions_for(table, PID), 0, 0
    while True:
        code, yes, no, k = instructions[at]
        if code == system_calls.RETURN:
            return k
        if code == system_calls.LOAD:
            held, is_so = seen.get(k, 0), False
            at += 1
            continue
        is_so = {
            system_calls.EQUALS: held == k,
            system_calls.AT_LEAST: held >= k,
            system_calls.HAS_BIT: bool(held & k),
        }[code]
        at += 1 + (yes if is_so else no)


@BOTH
def test_every_forbidden_call_fails_and_others_pass(table: ModuleType) -> None:
    for name in system_calls.FORBIDDEN:
        if name in table.NUMBERS:
            assert answer(table, table.NUMBERS[name]) == FAIL | errno.EPERM, name
    for name in system_calls.ABSENT:
        assert answer(table, table.NUMBERS[name]) == FAIL | errno.ENOSYS, name
    named = set(table.NUMBERS.values())
    assert {answer(table, number) for number in range(460) if number not in named} == {ALLOW}


@BOTH
def test_files_are_opened_for_reading_only(table: ModuleType) -> None:
    number = table.NUMBERS["openat"]
    assert answer(table, number, 3, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC):
        assert answer(table, number, 3, 0, flags) == FAIL | errno.EPERM


@BOTH
def test_threads_may_be_made_and_signals_sent_to_itself(table: ModuleType) -> None:
    numbers = table.NUMBERS
    assert answer(table, numbers["clone"], system_calls.CLONE_THREAD) == ALLOW
    assert answer(table, numbers["clone"], 17) == FAIL | errno.EPERM
    for name in system_calls.SIGNALLING:
        assert answer(table, numbers[name], PID) == ALLOW
        assert answer(table, numbers[name], 1) == FAIL | errno.EPERM


@BOTH
def test_calls_of_another_architecture_fail(table: ModuleType) -> None:
    reading = table.NUMBERS["openat"]
    assert answer(table, reading, architecture=0x40000003) == FAIL | errno.EPERM
    assert answer(table, table.FIRST_FOREIGN + 1) == FAIL | errno.EPERM


def test_the_architectures_forbid_the_same() -> None:
    assert set(x86_64.NUMBERS) - set(aarch64.NUMBERS) == ONLY_OLD
    assert set(aarch64.NUMBERS) <= set(x86_64.NUMBERS)


@BOTH
def test_the_numbers_are_those_of_the_kernels_headers(table: ModuleType) -> None:
    header = HEADERS[table]
    if not header.exists():
        pytest.skip(f"no {header} on this machine")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)\s*$", header.read_text(encoding="utf-8"), re.MULTILINE)
    known = {name: int(number) for name, number in found}
    assert len(set(table.NUMBERS.values())) == len(table.NUMBERS)
    compared = {name: number for name, number in table.NUMBERS.items() if name in known}
    assert compared == {name: known[name] for name in compared}
    # Headers may be older than the newest calls.
    assert set(table.NUMBERS) - set(compared) <= {"fchmodat2"}
