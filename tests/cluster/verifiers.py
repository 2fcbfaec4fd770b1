"""The three verifiers of receipts, asked in bulk: the worker's command line, Python's and Go's of schemas/verifiers."""

import base64
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VERIFIERS = Path(__file__).resolve().parents[2] / "schemas" / "verifiers"


class Verifiers:
    def __init__(self, binary: Path, folder: Path):
        go = folder / "verifier"
        subprocess.run(["go", "build", "-o", go, "."], cwd=VERIFIERS / "go", check=True)
        self._commands = {
            "rust": lambda vkey, files: [binary, "receipts", "verify", "--key", vkey, *files],
            "python": lambda vkey, files: [sys.executable, VERIFIERS / "python" / "verify_swept.py", vkey, *files],
            "go": lambda vkey, files: [go, vkey, *files],
        }

    def of_files(self, vkey: str, files: list[Path]) -> list[str]:
        return self._agreed(vkey, files, b"", {str(file) for file in files})

    def of_bytes(self, vkey: str, proofs: list[bytes]) -> list[str]:
        """What all of them say of each proof: `ok INDEX of SIZE`, or `refused STEP`."""
        lines = b"".join(base64.b64encode(proof) + b"\n" for proof in proofs)
        return self._agreed(vkey, ["-"], lines, {str(number + 1) for number in range(len(proofs))})

    def _agreed(self, vkey: str, files: list, lines: bytes, names: set[str]) -> list[str]:
        def ask(command):
            done = subprocess.run(command(vkey, files), input=lines, capture_output=True)
            verdicts = dict(line.split(": ", 2)[:2] for line in done.stdout.decode().splitlines())
            refused = any(verdict.startswith("refused") for verdict in verdicts.values())
            assert done.returncode == (65 if refused else 0) and verdicts.keys() == names, done.stderr.decode()[-500:]
            return verdicts

        with ThreadPoolExecutor() as pool:
            answers = dict(zip(self._commands, pool.map(ask, self._commands.values())))
        said = {name: [answer[name] for answer in answers.values()] for name in names}
        disputed = [f"{name}: {each}" for name, each in said.items() if len(set(each)) > 1]
        assert not disputed, f"{list(answers)} disagree on {len(disputed)}, as on {disputed[0]}"
        return list(answers["rust"].values())
