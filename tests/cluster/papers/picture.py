"""The picture of the demo in the README: `python papers/picture.py`, beside world.py, runs the demo and writes it again."""

import subprocess
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

from world import RELEASE, ROOT

PICTURE = ROOT / "docs/demo.svg"
COMMAND = "$ hourseal demo"
COLUMNS, WIDE, HIGH, MARGIN = 110, 8, 20, 16
LABELS = 11  # the first words of the lines stand in a column of this width
# A terminal that is as dark on a bright page as on a dark one.
STYLE = (
    ".screen{fill:#16212b}text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#d5dee6;white-space:pre}"
    ".label{fill:#7fb7e6}.after{fill:#f2b872}.command{fill:#8fd19e}"
)


def parts(line: str) -> list[str]:
    """The line in parts that fit the screen; each part but the last ends with the space at which it is broken."""
    if len(line) <= COLUMNS:
        return [line]
    cut = line.rfind(" ", 0, COLUMNS) + 1 or COLUMNS
    return [line[:cut], *parts(line[cut:])]


def text(line: str, row: int) -> str:
    """One line of the transcript; each of its parts is a row."""
    kind = "command" if line.startswith("$") else "after" if line.startswith(("after", "forgotten")) else ""
    spans = []
    for number, part in enumerate(parts(line)):
        x, y = MARGIN + (LABELS * WIDE if number else 0), MARGIN + HIGH * (row + number + 1) - 6
        label = LABELS if number == 0 and not kind else 0
        start = f'<tspan x="{x}" y="{y}"'
        spans.append(f'{start} class="label">{escape(part[:label])}</tspan><tspan>' if label else f"{start}>")
        spans.append(f"{escape(part[label:])}</tspan>")
    return f'<text class="{kind}" xml:space="preserve">{"".join(spans)}</text>'


def draw(printed: str) -> str:
    rows, drawn = 0, []
    for line in [COMMAND, *printed.splitlines()]:
        drawn.append(text(line, rows))
        rows += len(parts(line))
    wide, high = 2 * MARGIN + (COLUMNS + LABELS) * WIDE, 2 * MARGIN + HIGH * rows
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img">'
    title = "<title>hourseal demo: events are sealed, opened and forgotten</title>"
    screen = f'<rect class="screen" width="{wide}" height="{high}" rx="8"/>'
    return "\n".join([frame, title, f"<style>{STYLE}</style>", screen, *drawn, "</svg>\n"])


def transcript(picture: str) -> str:
    """The lines that a picture shows, without the command."""
    lines = ElementTree.fromstring(picture).findall("{http://www.w3.org/2000/svg}text")
    command, *printed = ["".join(line.itertext()) for line in lines]
    assert command == COMMAND
    return "".join(f"{line}\n" for line in printed)


if __name__ == "__main__":
    demo = subprocess.run([RELEASE, "demo"], capture_output=True, text=True, check=True)
    PICTURE.write_text(draw(demo.stdout))
