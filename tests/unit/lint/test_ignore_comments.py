"""Comments that ask lint to pass over a rule: where they count, and what is told of those that ask for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.lint.ignore_comments import IgnoreComments
from egressctl.lint.manifest_files import manifests_of_texts
from egressctl.lint.rule import Finding

LINES = [
    "apiVersion: networking.istio.io/v1",
    "kind: ServiceEntry",
    "metadata:",
    "  name: a",
    "spec:",
    "  hosts: [a.example]",
    "  addresses:",
    "  - 198.51.100.7/24",
    "  - 203.0.113.7/24",
]
ASK = "# egressctl: ignore=host-bits"


def ignores(text: str, name: str = "a.yaml") -> IgnoreComments:
    [file] = manifests_of_texts({name: text}).files
    return IgnoreComments(file)


def with_line(at: int, line: str) -> str:
    """The document with a line put before the one of that number, from 1."""
    return "\n".join([*LINES[: at - 1], line, *LINES[at - 1 :]]) + "\n"


def with_comment(at: int, comment: str) -> str:
    return "\n".join(f"{line}  {comment}" if number == at else line for number, line in enumerate(LINES, 1)) + "\n"


def covered(found: IgnoreComments, lines: int = 12, rule: str = "host-bits") -> set[int]:
    return {line for line in range(1, lines) if found.ignores_finding(Finding(rule, "", "", file="a.yaml", line=line))}


def test_a_comment_on_a_line_is_about_that_line() -> None:
    assert covered(ignores(with_comment(8, ASK))) == {8}


def test_a_comment_on_a_line_of_its_own_is_about_the_next_one_that_is_no_comment() -> None:
    assert covered(ignores(with_line(8, f"  {ASK}\n  # and why\n"))) == {8, 9, 10, 11}
    assert 12 not in covered(ignores(with_line(8, f"  {ASK}")), 20)


@pytest.mark.parametrize("text", [with_line(1, ASK), with_line(1, f"{ASK}\n# and why\n"), with_line(1, f"---\n{ASK}")])
def test_a_comment_above_a_document_is_about_the_whole_of_it(text: str) -> None:
    last = len(text.splitlines())
    assert {last - 1, last} <= covered(ignores(text), last + 1)


@pytest.mark.parametrize("text", [with_comment(3, ASK), with_comment(4, ASK), with_line(4, f"  {ASK}"), with_line(5, ASK)])
def test_a_comment_among_the_lines_of_metadata_is_about_the_whole_document(text: str) -> None:
    last = len(text.splitlines())
    assert {1, last - 1, last} <= covered(ignores(text), last + 1)


def test_it_is_about_no_other_document_of_the_file() -> None:
    text = with_line(1, ASK) + "---\n" + "\n".join(LINES) + "\n"
    assert max(covered(ignores(text), 30)) == 10


def test_it_is_about_the_rules_that_it_names() -> None:
    found = ignores(with_comment(8, "# egressctl: ignore=host-bits, stale-blocks  # both are meant"))
    assert [covered(found, rule=rule) for rule in ("host-bits", "stale-blocks", "same-block")] == [{8}, {8}, set()]
    assert found.findings == []


@pytest.mark.parametrize(
    ("asked", "told", "hint"),
    [
        ("ignore=host-bit", 'there is no rule "host-bit"', "did you mean host-bits?"),
        ("ignore=xyzzy", 'there is no rule "xyzzy"', ""),
        ("ignore=", '"ignore=" is not understood', "write # egressctl: ignore=RULE[,RULE]"),
        ("ignore", '"ignore" is not understood', "write # egressctl: ignore=RULE[,RULE]"),
        ("ignore=host-bits stale-blocks", '"ignore=host-bits stale-blocks" is not understood', "write #"),
        ("disable=host-bits", '"disable=host-bits" is not understood', "write #"),
    ],
)
def test_one_that_asks_for_nothing_is_told(asked: str, told: str, hint: str) -> None:
    found = ignores(with_comment(8, f"# egressctl: {asked}"))
    [finding] = found.findings
    assert (finding.rule, finding.file, finding.line, finding.message) == ("unknown-ignore", "a.yaml", 8, told)
    assert finding.hint.startswith(hint)
    assert covered(found) == set()


def test_what_is_known_beside_what_is_not_counts() -> None:
    found = ignores(with_comment(8, "# egressctl: ignore=xyzzy,host-bits"))
    assert (covered(found), len(found.findings)) == ({8}, 1)


@pytest.mark.parametrize(
    "line",
    [
        f'  note: "{ASK}"',
        f"  note: '{ASK}'",
        f"  note: |\n    text\n    {ASK}",
        f"  note: >-\n    {ASK}",
        f"  note: 'over\n    {ASK}\n    lines'",
    ],
)
def test_what_is_text_is_no_comment(line: str) -> None:
    found = ignores(with_line(6, line))
    assert (covered(found, 20), found.findings) == (set(), [])


def test_a_comment_below_a_block_of_text_is_one() -> None:
    text = with_line(6, f"  note: |\n    text\n  {ASK}")
    assert 9 in covered(ignores(text), 20)


def test_a_file_of_json_has_no_comments() -> None:
    text = '{"kind": "ServiceEntry", "metadata": {"name": "a"}} # egressctl: ignore=host-bits\n'
    assert ignores(text, "a.json")._scopes == []


def test_a_comment_cannot_hide_that_a_comment_asks_for_nothing() -> None:
    found = ignores(with_comment(8, "# egressctl: ignore=unknown-ignore"))
    assert not found.ignores_finding(Finding("unknown-ignore", "", "", file="a.yaml", line=8))


@given(st.lists(st.sampled_from([*LINES, ASK, f"  {ASK}", "", "---", "# egressctl: ignore=", "  x: |", "    text"]), max_size=14))
def test_whatever_stands_around_it_a_comment_is_read_or_told(lines: list[str]) -> None:
    for file in manifests_of_texts({"a.yaml": "\n".join(lines)}).files:
        found = IgnoreComments(file)
        assert all(each.rule == "unknown-ignore" for each in found.findings)
        assert covered(found, 20) <= set(range(1, len(lines) + 1))
