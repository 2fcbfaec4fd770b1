"""Who may have what forgotten: people with keys, the trust store that names them, and the commands that they sign."""

import base64
import json
import subprocess

from nacl.signing import SigningKey
from world import World

EVERYTHING = ["erase", "erase-early", "hold", "release", "retention", "shorten"]
# A change of retention waits for writes that are under way: of a test there are none.
SETTLED = {"HOURSEAL_TESTKIT_SETTLES_IN_MS": "200"}


class Office:
    """Two people whose keys may do everything together, and a job that may erase what is due."""

    def __init__(self, folder, binary):
        self.folder, self.binary = folder, binary
        folder.mkdir()
        keys = [self.entry("dpo", EVERYTHING), self.entry("legal", EVERYTHING), self.entry("job", ["erase"])]
        self.trust = folder / "trust.json"
        self.trust.write_text(json.dumps({"version": 1, "keys": keys}))
        self.settings = {"control": {"require_signatures": True, "trust_store_file": str(self.trust)}}

    def key(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run([self.binary, *arguments], capture_output=True, timeout=60)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout.decode()

    def entry(self, name: str, rights: list[str]) -> dict:
        return {"name": name, "public": json.loads(self.run("keygen", self.key(name)))["public"], "rights": rights}

    def seed(self, name: str) -> SigningKey:
        """The key as another program reads it: PKCS#8's last 32 bytes."""
        pem = (self.folder / f"{name}.pem").read_text()
        return SigningKey(base64.b64decode("".join(pem.splitlines()[1:-1]))[-32:])


def ask(world: World, *arguments: str, code: int = 0, wait: bool = True) -> dict | None:
    """What `hourseal` says of a command: its receipt."""
    how = ("--json",) if wait else ("--no-wait",)
    text = world.cli(*arguments, *how, code=code, settings=world.office.settings)
    return json.loads(text) if wait else None


def holds(world: World) -> set[str]:
    return {hold["hold"] for hold in world.cli_json("hold", "ls", "--json")}
