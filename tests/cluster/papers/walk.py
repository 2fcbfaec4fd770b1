"""Executes each command block of a paper, in its order, as a reader does: in one directory, with one worker at a time.

The papers say 127.0.0.1:9092 and 127.0.0.1:9464. A walk replaces these in the text, and gives the commands that name no address its
broker and its admin port by HOURSEAL__KAFKA__BOOTSTRAP and HOURSEAL__ADMIN__LISTEN. Nothing else is changed but `ring.premint`: in the
last ten minutes of an hour `keys ls` would also list the next hour's keys. A block that `runs on` ends the one before."""

import time
from pathlib import Path

from children import free_ports, wait_until
from papers.commands import NOT_RUN, OUTPUT, RUNS_ON, Block, Running, blocks, run, shows

# Blocks in these languages are read, not run.
READ = {"text", "toml", "json"}
# The only reasons not to run a block. Of `tests/run`, the walk itself is a part.
REASONS = ("it needs a container engine", "it is this run")


class Walk:
    def __init__(self, bootstrap: str, folder: Path):
        folder.mkdir(parents=True)
        self.folder = folder
        admin = f"127.0.0.1:{free_ports(1)[0]}"
        self.places = {"127.0.0.1:9092": bootstrap, "127.0.0.1:9464": admin}
        self.env = {"HOURSEAL__KAFKA__BOOTSTRAP": bootstrap, "HOURSEAL__ADMIN__LISTEN": admin, "HOURSEAL__RING__PREMINT": "0s"}
        self.running: Running | None = None
        self.printed = ""
        self.executed = self.compared = 0

    def paper(self, path: Path) -> "Walk":
        for block in blocks(path):
            self.step(block.on(self.places))
        return self

    def step(self, block: Block):
        if block.marker == OUTPUT:
            assert shows(block.text, self.printed), f"{block} shows another output than this:\n{self.printed}"
            self.compared += 1
        elif block.marker == RUNS_ON:
            self.end()
            self.running = Running(block, self.folder, self.env)
            ready = block.on({block.text: "hourseal ready"})
            wait_until(lambda: run(ready, self.folder, self.env).code == 0, 60, f"{block} is ready", alive=self.running)
            self.executed += 1
        elif block.marker.startswith(NOT_RUN):
            assert block.marker.removeprefix(NOT_RUN) in REASONS, f"{block}: this is not a reason: {block.marker}"
        elif block.language not in READ:
            assert block.marker == "", f"{block}: this is not a marker: {block.marker}"
            done = run(block, self.folder, self.env, together=True)
            assert done.code == 0, f"{block}: exit code {done.code}\n{block.text}\n{done.stdout}"
            self.printed = done.stdout
            self.executed += 1

    def end(self):
        """What a reader does by Ctrl-C or SIGTERM, and the exit that the papers promise."""
        if self.running:
            assert self.running.stop() == 0, self.running.tail()
            self.running = None


def await_a_whole_hour(minutes: float = 4):
    """A walk names the hour of its events: it does not begin just before the next one."""
    left = 3600 - time.time() % 3600
    if left < minutes * 60:
        time.sleep(left + 1)
