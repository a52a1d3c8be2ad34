"""Which field manager an object is changed as."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.lifecycle.plan import field_manager_of


@pytest.mark.parametrize(
    ("metadata", "manager"),
    [
        ({}, "egressctl"),
        ({"annotations": None}, "egressctl"),
        ({"annotations": {"egressctl.dev/field-manager": ""}}, "egressctl"),
        ({"annotations": {"egressctl.dev/field-manager": "ci"}}, "ci"),
    ],
)
def test_an_object_remembers_its_field_manager(metadata: dict[str, Any], manager: str) -> None:
    assert field_manager_of({"metadata": metadata}) == manager
