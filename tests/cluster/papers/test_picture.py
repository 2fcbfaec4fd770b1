"""The picture in the README shows what the demo prints: the quickstart has that output, and a walk compares it with the program."""

from papers.commands import blocks, shows
from papers.picture import PICTURE, draw, transcript
from world import ROOT


def paper() -> str:
    """The demo's output in the quickstart."""
    (block,) = [block for block in blocks(ROOT / "docs/quickstart.md") if block.text.startswith("starting ")]
    return block.text


def test_the_picture_shows_the_output_of_the_demo():
    assert f"]({PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
    picture = PICTURE.read_text()
    assert shows(paper(), transcript(picture))
    assert draw(transcript(picture)) == picture


def test_a_picture_of_another_output_is_noticed():
    """The control."""
    assert not shows(paper(), transcript(PICTURE.read_text().replace("customer-0001", "customer-0002")))
