"""The document's five blocks of 2018, the recorded list of 2026, and what stands between them."""

from __future__ import annotations

from pathlib import Path

RECORDED = Path(__file__).parents[2] / "data" / "published" / "wikimedia-geo-resources-2026"
DOCUMENTS = ["91.198.174.192/27", "103.102.166.224/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27"]
LIST = ("--published", str(RECORDED))
DIFFERENCES = """\
NAME    STATE     BLOCK                                 CATALOGUE   ENTRY   PUBLISHED
drmrs   missing   185.15.58.224/27                      yes         no      yes
esams   missing   185.15.59.224/27                      yes         no      yes
magru   missing   195.200.68.224/27                     yes         no      yes
ulsfo   moved     198.35.26.96/27 -> 198.35.26.224/27   yes         old     yes
esams   retired   91.198.174.192/27                     yes         yes     no
codfw   same      208.80.153.224/27                     yes         yes     yes
eqiad   same      208.80.154.224/27                     yes         yes     yes
eqsin   same      103.102.166.224/27                    yes         yes     yes
"""


def states(text: str) -> set[tuple[str, str]]:
    """Name and state of each row of a table."""
    return {(words[0], words[1]) for line in text.splitlines() if len(words := line.split()) > 3 and words[0] != "NAME"}
