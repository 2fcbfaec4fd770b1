"""What lies in the memory of a process, read from outside as root may; and what a process may be denied before it starts."""

import ctypes
import errno
import os
import resource
import struct
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

CAP_IPC_LOCK, CAP_SYS_PTRACE = 14, 19
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 22, 24, 38
_PR_SET_DUMPABLE = 4
_CHUNK = 1 << 20
_WORD = 8


class Mapping(NamedTuple):
    begin: int
    end: int
    access: str
    name: str
    flags: frozenset[str]
    """Such as `lo` (locked) and `dd` (not dumped)."""
    written: bool
    """Whether any of its pages, in memory or in swap, is not merely what a file on disk says."""


class Secret(NamedTuple):
    what: str
    whose: bytes
    bytes: bytes


class Hit(NamedTuple):
    secret: Secret
    address: int
    mapping: Mapping

    def __str__(self):
        return f"{self.secret.what} of {self.secret.whose!r} at {self.address:#x} in {self.mapping.name or 'anonymous'}"


def mappings(pid: int) -> list[Mapping]:
    found = []
    fields: dict[str, str] = {}
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if not first.endswith(":"):
            access, _, _, _, *name = rest.split(maxsplit=4)
            begin, end = (int(address, 16) for address in first.split("-"))
            found.append((begin, end, access, "".join(name), fields := {}))
        else:
            fields[first] = rest
    written = ("Anonymous:", "Private_Dirty:", "Shared_Dirty:", "Swap:")
    return [
        Mapping(*four, frozenset(its["VmFlags:"].split()), any(its[key].split()[0] != "0" for key in written))
        for *four, its in found
    ]


def find(pid: int, secrets: list[Secret]) -> list[Hit]:
    """Where any quarter of a secret lies, as it is or with the bytes of each word turned round, as a hash loads it."""
    sought: dict[int, Secret] = {word: secret for secret in secrets for word in _words(secret.bytes)}
    all_words = frozenset(sought)
    hits = set()
    for mapping, base, memory in _memory(pid):
        for shift in range(_WORD):
            words = array("Q", memory[shift : shift + (len(memory) - shift) // _WORD * _WORD])
            for word in all_words.intersection(words):
                places = (at for at, other in enumerate(words) if other == word)
                hits.update(Hit(sought[word], base + shift + at * _WORD, mapping) for at in places)
    return sorted(hits, key=lambda hit: hit.address)


def _words(secret: bytes) -> Iterator[int]:
    turned = b"".join(secret[at : at + 4][::-1] for at in range(0, len(secret), 4))
    for form in (secret, turned):
        yield from array("Q", form)


def _memory(pid: int) -> Iterator[tuple[Mapping, int, bytes]]:
    """All that the process has written, in parts that overlap by a word less a byte."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for mapping in mappings(pid):
            for begin in range(mapping.begin, mapping.end, _CHUNK) if mapping.written else ():
                part = _read(memory, begin, min(begin + _CHUNK + _WORD - 1, mapping.end))
                if part.strip(b"\0"):
                    yield mapping, begin, part


def _read(memory, begin: int, end: int) -> bytes:
    """What is there; a page that was never used reads as zeros, one that went meanwhile as nothing."""
    parts = []
    while begin < end:
        try:
            part = os.pread(memory.fileno(), end - begin, begin)
        except OSError:
            part = bytes(min(4096 - begin % 4096, end - begin))
        parts.append(part)
        begin += len(part)
    return b"".join(parts)


def limits(pid: int, name: str) -> tuple[str, str]:
    """Soft and hard, as /proc says them."""
    (line,) = (line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith(name))
    soft, hard, *_ = line.removeprefix(name).split()
    return soft, hard


# --- for `before`


def without(*capabilities: int) -> Callable[[], None]:
    """Root without these."""

    def drop():
        for capability in capabilities:
            assert _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())

    return drop


def locking_at_most(size: int) -> Callable[[], None]:
    def limit():
        without(CAP_IPC_LOCK)()
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, size))

    return limit


class Call(NamedTuple):
    """A system call: its number on each machine."""

    x86_64: int
    aarch64: int


PRCTL, RENAMEAT2, LINKAT = Call(157, 167), Call(316, 276), Call(265, 37)
_LINK = 86  # x86_64 has it beside linkat


class _Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refusing(error: int, *calls: Call, first_argument: int | None = None) -> Callable[[], None]:
    """A seccomp filter that answers `error` to these calls (with this first argument only), and allows the rest."""
    load, equal, answer = 0x20, 0x15, 0x06
    number, argument = 0, 16
    refused, allowed = (answer, 0, 0, 0x0005_0000 | error), (answer, 0, 0, 0x7FFF_0000)
    machine = os.uname().machine
    numbers = [getattr(call, machine) for call in calls] + [_LINK] * (LINKAT in calls and machine == "x86_64")
    steps = []
    for it in numbers:
        looks = [] if first_argument is None else [(load, 0, 0, argument), (equal, 0, 1, first_argument)]
        steps += [(load, 0, 0, number), (equal, 0, len(looks) + 1, it), *looks, refused]
    steps.append(allowed)

    def refuse():
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
        program = _Program(len(steps), ctypes.addressof(code))
        assert _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        assert _LIBC.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0, os.strerror(ctypes.get_errno())

    return refuse


denying_dumpable = refusing(errno.EPERM, PRCTL, first_argument=_PR_SET_DUMPABLE)
