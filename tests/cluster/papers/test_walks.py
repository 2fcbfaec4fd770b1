"""Each command of the README, of the quickstart and of the papers that continue it works as written, and prints what they show."""

import pytest
from papers.walk import Walk, await_a_whole_hour
from world import ROOT


@pytest.fixture
def walk(own_kafka, tmp_path):
    """A broker of its own, because the papers use the default names of the topics."""
    await_a_whole_hour()
    walk = Walk(own_kafka.bootstrap, tmp_path / "here")
    yield walk
    walk.end()


def test_the_readme_works_as_written(walk):
    walk.paper(ROOT / "README.md")
    assert (walk.executed, walk.compared) == (7, 3)


def test_the_quickstart_and_the_pages_that_continue_it_work_as_written(walk):
    walk.paper(ROOT / "docs/quickstart.md")
    assert (walk.executed, walk.compared) == (8, 3)
    walk.paper(ROOT / "docs/forgetting.md")
    assert walk.executed > 14


@pytest.mark.parametrize(
    ("paper", "complaint"),
    [
        ("```\nhourseal no-such-command\n```\n", "exit code 64"),
        ("```\nhourseal --version\n```\n<!-- output -->\n```\nhourseal 9\n```\n", "another output"),
        ("<!-- not run: it is slow -->\n```\nhourseal --version\n```\n", "not a reason"),
        ("<!-- rnus on -->\n```\nhourseal --version\n```\n", "not a marker"),
    ],
)
def test_a_paper_that_is_wrong_is_noticed(tmp_path, paper, complaint):
    """The control."""
    file = tmp_path / "paper.md"
    file.write_text(paper)
    with pytest.raises(AssertionError, match=complaint):
        Walk("127.0.0.1:9", tmp_path / "here").paper(file)
