"""docs/configuration.md shows every setting, as `hourseal config example` prints it."""

import subprocess

from papers.commands import OUTPUT, blocks, run, shows
from world import RELEASE, ROOT

PAPER = ROOT / "docs/configuration.md"


def test_every_setting_is_shown_as_the_program_prints_it(tmp_path):
    """`python papers/test_every_setting.py`, beside world.py, writes it again."""
    command, shown = blocks(PAPER)[-2:]
    assert (command.text, shown.marker) == ("hourseal config example\n", OUTPUT)
    (tmp_path / "here").mkdir()
    printed = run(command, tmp_path / "here", {}).stdout
    assert shows(shown.text, printed)
    # The control.
    assert not shows(shown.text.replace('batch_time = "100ms"', 'batch_time = "90ms"'), printed)


if __name__ == "__main__":
    example = subprocess.run([RELEASE, "config", "example"], capture_output=True, text=True, check=True).stdout
    PAPER.write_text(PAPER.read_text().replace(blocks(PAPER)[-1].text, example))
