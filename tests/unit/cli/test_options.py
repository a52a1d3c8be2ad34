"""Durations as Go writes them, and groups of flags spread out."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from egressctl.cli.options import (
    ApplyFlags,
    ConnectionFlags,
    OutputFlags,
    ProbeFlags,
    SourceFlags,
    TargetFlags,
    WaitFlags,
    parse_duration,
    spread_flags,
)
from egressctl.errors import InvalidInput

# Durations


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h", 3600),
        ("1.5h", 5400),
        ("5", 5),
        ("2.5", 2.5),
        (".5", 0.5),
        ("0", 0),
        ("0s", 0),
        (10.0, 10),  # a default is a number already
    ],
)
def test_a_duration_is_seconds(text: str | float, found: float) -> None:
    assert parse_duration(text) == found


@pytest.mark.parametrize("text", ["", "soon", "10 s", "30seconds"])
def test_what_is_no_duration_says_what_is(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no duration; write it as 30s, 1m30s or 500ms") as refused:
        parse_duration(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["nan", "inf", "1e3", "s", "-", ".", "3²", "1_0", "-3"])
def test_odd_numbers_are_no_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


@pytest.mark.parametrize("text", ["999999999999h", "1e999h", "169h", "604801", "9" * 26, "9" * 400, "9" * 5000 + "s"], ids=len)
def test_a_duration_beyond_all_bounds_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is longer than a week|is no duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["-5s", "-1m30s"])
def test_a_negative_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="negative duration"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_whatever_is_typed_is_a_duration_or_refused(text: str) -> None:
    try:
        found = parse_duration(text)
    except typer.BadParameter:
        return
    assert 0 <= found < float("inf")


# Groups of flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Colours:
    front: Annotated[str, typer.Option("--front")] = "black"
    others: Annotated[list[str], typer.Option("--other")] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option("--width")] = 80


def draw(name: str, colours: Colours, size: Size, *, loud: bool = False) -> int:
    """Draw it."""
    drawn.append((name, colours, size, loud))
    return 7


drawn: list[tuple[str, Colours, Size, bool]] = []


def test_a_group_is_spread_out_into_its_fields() -> None:
    parameters = inspect.signature(spread_flags(draw)).parameters
    assert list(parameters) == ["name", "loud", "front", "others", "width"]
    assert parameters["front"].annotation == Annotated[str, parameters["front"].annotation.__metadata__[0]]
    assert [parameters[name].default for name in ("front", "others", "width", "loud")] == ["black", [], 80, False]
    assert {parameters[name].kind for name in ("front", "others", "width")} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_fields_are_gathered_again_for_the_call() -> None:
    drawn.clear()
    assert spread_flags(draw)("portrait", front="red", others=["blue"], width=40, loud=True) == 7
    assert drawn == [("portrait", Colours(front="red", others=["blue"]), Size(width=40), True)]


def test_two_calls_do_not_share_a_default() -> None:
    first, second = (inspect.signature(spread_flags(draw)).parameters["others"].default for _ in range(2))
    assert first is not second


def test_what_it_is_called_and_says_stays() -> None:
    assert (spread_flags(draw).__name__, spread_flags(draw).__doc__) == ("draw", "Draw it.")


def test_typer_sees_one_flag_a_field() -> None:
    """Through typer itself, in this process."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(spread_flags(draw))
    drawn.clear()
    assert app(["portrait", "--front", "red", "--other", "a", "--other", "b", "--width", "3"], standalone_mode=False) == 7
    assert drawn == [("portrait", Colours(front="red", others=["a", "b"]), Size(width=3), False)]


GROUPS = (ConnectionFlags, SourceFlags, TargetFlags, ProbeFlags, WaitFlags, ApplyFlags, OutputFlags)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_can_be_made_from_its_defaults(group: type) -> None:
    assert group() == group()


def test_no_two_groups_have_a_flag_in_common() -> None:
    flags = [
        flag
        for group in GROUPS
        for hint in inspect.get_annotations(group, eval_str=True).values()
        if hasattr(hint, "__metadata__")
        for flag in (hint.__metadata__[0].default, *hint.__metadata__[0].param_decls)
    ]
    assert len(flags) > 40
    assert sorted(set(flags)) == sorted(flags)


@pytest.mark.parametrize("output", OutputFlags.FORMATS)
def test_a_format_that_exists_is_taken(output: str) -> None:
    OutputFlags(output=[output]).check()


def test_a_format_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidInput, match="--output xml: no such format") as refused:
        OutputFlags(output=["xml"]).check()
    assert refused.value.hint == "one of " + ", ".join(OutputFlags.FORMATS)


def test_one_output_goes_to_stdout_and_the_others_to_files() -> None:
    output = OutputFlags(output=["json=report.json", "table", "yaml=r=1.yaml"])
    output.check()
    assert output.shown == "table"
    assert output.files == (("json", "report.json"), ("yaml", "r=1.yaml"))


def test_stdout_gets_the_table_where_every_output_goes_to_a_file() -> None:
    assert OutputFlags(output=["json=report.json"]).shown == "table"


def test_two_outputs_for_stdout_are_refused() -> None:
    with pytest.raises(InvalidInput, match="--output table and json: only one goes to stdout") as refused:
        OutputFlags(output=["table", "json"]).check()
    assert refused.value.hint == "-o table -o json=FILE"


def test_a_file_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--output json=: the file has no name"):
        OutputFlags(output=["json="]).check()
