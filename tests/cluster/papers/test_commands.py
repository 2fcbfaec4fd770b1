"""How the command blocks of a paper are read, run and compared: the controls of the other tests of papers."""

import pytest
from papers.commands import Running, blocks, run, shows

PAPER = """# A paper
```
hourseal --version    # a comment
```

<!-- output -->
```
hourseal 0.…
```
1. Within a list:

   <!-- runs on -->
   ```bash
   sleep 60
   ```
"""


@pytest.fixture
def paper(tmp_path):
    file = tmp_path / "paper.md"
    file.write_text(PAPER)
    (tmp_path / "here").mkdir()
    return file


def test_a_block_has_its_line_its_language_and_its_marker(paper):
    found = [(block.line, block.language, block.text, block.marker) for block in blocks(paper)]
    assert found == [
        (2, "", "hourseal --version    # a comment\n", ""),
        (7, "", "hourseal 0.…\n", "output"),
        (13, "bash", "sleep 60\n", "runs on"),
    ]


def test_a_block_runs_on_what_is_built(paper):
    command, output, *_ = blocks(paper)
    done = run(command, paper.parent / "here", {})
    assert (done.code, done.stderr) == (0, "") and shows(output.text, done.stdout)


def test_a_block_stops_at_its_first_failure_also_within_a_pipe(paper):
    block = blocks(paper)[0]
    failing = block.on({"hourseal --version": "hourseal no-such-command | cat; echo reached"})
    done = run(failing, paper.parent / "here", {})
    assert (done.code, done.stdout) == (64, "")


def test_a_block_that_runs_on_is_ended_by_its_process(paper):
    running = Running(blocks(paper)[2], paper.parent / "here", {})
    assert running.alive
    assert running.stop() == -15


@pytest.mark.parametrize(
    ("written", "printed", "same"),
    [
        ("sealed … events\n", "sealed 7 events\n", True),
        ("sealed … events\n", "sealed 7 records\n", False),
        ("first\n…\nlast\n", "first\na\nb\nlast\n", True),
        ("first\n…\nlast\n", "first\na\nb\n", False),
        ("first\n", "first\nsecond\n", False),
        ("a.b\n", "axb\n", False),
    ],
)
def test_an_output_is_compared_word_for_word_but_for_ellipses(written, printed, same):
    assert shows(written, printed) is same
