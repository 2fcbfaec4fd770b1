"""The command blocks of a Markdown file, and how to run them on what is built.

A comment on the line before a block is its marker: `<!-- runs on -->` starts a process that does not end by itself, `<!-- output -->`
shows what the block before printed, and `<!-- not run: REASON -->` is for a reader only.
In an output `…` is any text of one line, and a line `…` is any number of lines; everything else is compared word for word."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from children import Child
from world import RELEASE

RUNS_ON, OUTPUT, NOT_RUN = "runs on", "output", "not run: "
SECONDS = 120
# `cargo run --release -- ARGUMENTS` is the binary that is built, and `cargo build --release` has nothing to do.
CARGO = """#!/bin/sh
case "$1 $2 ${3-}" in
"run --release --") shift 3; exec hourseal "$@" ;;
"build --release ") exit 0 ;;
*) echo "not a build command of the papers: cargo $*" >&2; exit 64 ;;
esac
"""


@dataclass(frozen=True)
class Block:
    path: Path
    line: int  # of the opening fence
    language: str
    text: str
    marker: str = ""

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"

    def on(self, places: Mapping[str, str]) -> "Block":
        """The same block with other addresses, such as `{"127.0.0.1:9092": kafka.bootstrap}`."""
        text = self.text
        for written, real in places.items():
            text = text.replace(written, real)
        return replace(self, text=text)


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str
    code: int


def blocks(path: Path) -> list[Block]:
    found, lines = [], path.read_text().splitlines()
    at = 0
    while at < len(lines):
        fence = re.fullmatch(r"( *)(```+)(\w*)", lines[at])
        if fence:
            indent, ticks, language = fence.groups()
            end = next(number for number in range(at + 1, len(lines)) if lines[number] == indent + ticks)
            text = "".join(f"{line.removeprefix(indent)}\n" for line in lines[at + 1 : end])
            comment = re.fullmatch(r" *<!-- (.*) -->", lines[at - 1]) if at else None
            found.append(Block(path, at + 1, language, text, comment[1] if comment else ""))
            at = end
        at += 1
    return found


def surroundings(cwd: Path, env: Mapping[str, str]) -> list[str]:
    """How a command is called: without the variables of the tests; `hourseal` and `cargo` are what is built."""
    programs = cwd.parent / f"{cwd.name}.bin"
    if not programs.exists():
        programs.mkdir()
        (programs / "hourseal").symlink_to(RELEASE)
        (programs / "cargo").write_text(CARGO)
        (programs / "cargo").chmod(0o755)
    unset = [f"--unset={name}" for name in os.environ if name.startswith("HOURSEAL")]
    given = [f"{name}={value}" for name, value in {**env, "PATH": f"{programs}:{os.environ['PATH']}"}.items()]
    return ["env", *unset, *given]


def run(block: Block, cwd: Path, env: Mapping[str, str], *, together: bool = False) -> Done:
    """Runs the block to its end, in a bash that stops at the first command that fails. `together`: errors are in `stdout`, in
    their place, as on a terminal."""
    command = [*surroundings(cwd, env), "bash", "-c", f"set -euo pipefail\n{block.text}"]
    errors = subprocess.STDOUT if together else subprocess.PIPE
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=SECONDS
    )
    return Done(done.stdout, done.stderr or "", done.returncode)


class Running(Child):
    """A block that `runs on`: one command. `stop` sends SIGTERM and returns the exit code."""

    def __init__(self, block: Block, cwd: Path, env: Mapping[str, str]):
        log = cwd.parent / f"{cwd.name}.{block.path.stem}-{block.line}.log"
        super().__init__([*surroundings(cwd, env), "bash", "-c", f"exec {block.text.strip()}"], log=log, cwd=cwd)

    def stop(self, seconds: float = 30) -> int:
        self.send(signal.SIGTERM)
        return self.wait(seconds)


def shows(paper: str, printed: str) -> bool:
    """Whether the output in a paper is what a command printed; blanks at the end of a line do not count."""
    pattern = ""
    for line in paper.splitlines():
        words = re.escape(line.rstrip()).replace("…", "[^\n]*")
        pattern += r"(?:[^\n]*\n)*?" if line.strip() == "…" else rf"{words}[ ]*\n"
    return re.fullmatch(pattern, printed if printed.endswith("\n") else f"{printed}\n") is not None
