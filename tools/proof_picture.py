"""Draw the README's picture, the path of one request with the four proofs and the same request bypassed: `proof_picture.py FILE`.

Its colours follow the reader's, light or dark, and it brings a background of its own, since a page may not follow them.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

WIDTH, BOX, GAP, HEIGHT, MARGIN = 660, 120, 48, 50, 18
TITLE = "One request on its way out of the mesh, proved open; and the same request, bypassed"
PROOFS = (
    ("captured", "the sidecar had the other end of this very connection"),
    ("static", "the sidecar's configuration sends it to this Envoy cluster"),
    ("owned", "that Envoy cluster comes from this ServiceEntry"),
    ("counted", "that Envoy cluster's count went up"),
)

STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d0d7de } .box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5 }
.small { font-size: 12.5px; fill: #57606a } .title { font-weight: 600 } .mark { font-weight: 700; fill: #ffffff }
.good { stroke: #1a7f37 } .bad { stroke: #cf222e } .box.good { fill: #dafbe1 } .box.bad { fill: #ffebe9 }
.arrow { fill: none; stroke-width: 2 } .dot { fill: #1a7f37 } .verdict { font-weight: 700 }
.verdict.good { fill: #1a7f37; stroke: none } .verdict.bad { fill: #cf222e; stroke: none }
.head.good { fill: #1a7f37; stroke: none } .head.bad { fill: #cf222e; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117; stroke: #30363d } .box { fill: #161b22; stroke: #8b949e } .small { fill: #9da7b1 }
.good { stroke: #3fb950 } .bad { stroke: #f85149 } .box.good { fill: #12261e } .box.bad { fill: #25171c }
.dot { fill: #238636 } .verdict.good, .head.good { fill: #3fb950 } .verdict.bad, .head.bad { fill: #f85149 }
}
""".strip()


class Lane(NamedTuple):
    """One request: what it passes, each with a line below; the numbers of the proofs on each of its arrows; how it ends."""

    title: str
    kind: str
    boxes: tuple[tuple[str, str], ...]
    marks: tuple[str, ...]
    verdict: str


LANES = (
    Lane(
        "With the ServiceEntry",
        "good",
        (("pod", "curl"), ("sidecar", "Envoy"), ("Envoy cluster", "of the entry  3"), ("internet", "HTTP 200")),
        ("1", "2", "4"),
        "open: proved",
    ),
    Lane(
        "The same request, no ServiceEntry, ALLOW_ANY",
        "bad",
        (("pod", "curl"), ("sidecar", "Envoy"), ("Envoy cluster", "Passthrough"), ("internet", "HTTP 200")),
        ("1", "", ""),
        "bypassed: the same 200",
    ),
)


def picture() -> str:
    """Return the picture as SVG."""
    parts: list[str] = []
    top = MARGIN
    for lane in LANES:
        parts += _lane(lane, top)
        top += 46 + HEIGHT
    top += 12
    for number, (name, meaning) in enumerate(PROOFS, 1):
        parts += _dot(MARGIN + 10, top + 9, str(number))
        parts.append(_text(MARGIN + 28, top + 14, name, "title"))
        parts.append(_text(MARGIN + 112, top + 14, meaning))
        top += 24
    height = top + MARGIN - 4
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(TITLE)}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
            *parts,
            "</svg>\n",
        )
    )


def _lane(lane: Lane, top: int) -> list[str]:
    parts = [
        _text(MARGIN, top + 14, lane.title, "title"),
        _text(WIDTH - MARGIN, top + 14, lane.verdict, f"verdict {lane.kind}", "end"),
    ]
    top += 26
    middle = top + HEIGHT // 2
    for place, (name, below) in enumerate(lane.boxes):
        left = MARGIN + place * (BOX + GAP)
        decides = lane.kind if place == 2 else ""
        parts.append(f'<rect class="box {decides}" x="{left}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="6"/>')
        label, _, number = below.partition("  ")
        parts.append(_text(left + BOX // 2, top + 20, name, "title", "middle"))
        parts.append(_text(left + BOX // 2 - (10 if number else 0), top + 39, label, "small", "middle"))
        parts += _dot(left + BOX - 16, top + 35, number) if number else []
        if place:
            start, end = left - GAP, left
            parts.append(f'<path class="arrow {lane.kind}" d="M{start} {middle}H{end - 8}"/>')
            parts.append(f'<path class="head {lane.kind}" d="M{end - 9} {middle - 5}l8 5l-8 5Z"/>')
            parts += _dot(start + 19, middle, lane.marks[place - 1]) if lane.marks[place - 1] else []
    return parts


def _dot(x: int, y: int, number: str) -> list[str]:
    return [f'<circle class="dot" cx="{x}" cy="{y}" r="10"/>', _text(x, y + 5, number, "mark", "middle")]


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), encoding="utf-8")
