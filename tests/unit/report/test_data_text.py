"""Plain data as YAML: what is read back is what was written, and no line begins with a text."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egressctl.report.data_text import data_text
from reports import TEXTS

# A report's keys are its own; only its values are what others wrote.
DATA = st.dictionaries(
    TEXTS.map("k{}".format),
    st.recursive(TEXTS | st.none() | st.booleans(), lambda inner: st.lists(inner, max_size=2)),
    max_size=3,
)


def test_ordinary_data_looks_as_everywhere() -> None:
    data = {"message": "it's there: 443", "port": 443, "held": True, "cause": None, "list": ["a", "1"], "empty": []}
    assert (
        data_text(data, "yaml")
        == "message: 'it''s there: 443'\nport: 443\nheld: true\ncause: null\nlist:\n- a\n- '1'\nempty: []\n"
    )


@pytest.mark.parametrize("form", ["json", "yaml"])
@given(data=DATA)
def test_it_reads_back_and_no_line_is_a_command(form: str, data: dict[str, object]) -> None:
    text = data_text(data, form)
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    if "\\ud8" not in json.dumps(data):  # half a character is no text in YAML
        assert (json.loads(text) if form == "json" else yaml.safe_load(text)) == data
