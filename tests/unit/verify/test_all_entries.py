"""Batches of a survey: whole targets, in their order, no more probes than asked for."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from egressctl.model.probe import Probe
from egressctl.verify.all_entries import split_into_batches
from egressctl.verify.select import VerifyTarget


def wanted(name: str, probes: int) -> VerifyTarget:
    return VerifyTarget(name, "default", name, None, tuple(Probe(f"p{index}", "https://a.example") for index in range(probes)))


def test_a_target_with_more_probes_than_a_batch_has_one_of_its_own() -> None:
    dealt = split_into_batches([wanted("a", 2), wanted("b", 9), wanted("c", 1), wanted("d", 4)], 5)
    assert [[each.name for each in batch] for batch in dealt] == [["a"], ["b"], ["c", "d"]]


@given(st.lists(st.integers(1, 12), max_size=40), st.integers(1, 50))
def test_nothing_is_lost_doubled_or_torn_apart(counts: list[int], size: int) -> None:
    targets = [wanted(str(index), count) for index, count in enumerate(counts)]
    dealt = list(split_into_batches(targets, size))
    assert [each for batch in dealt for each in batch] == targets
    assert all(batch for batch in dealt)
    assert all(sum(len(each.probes) for each in batch) <= size or len(batch) == 1 for batch in dealt)
    # As few as can be in this order: none fits into the one before it.
    for one, other in itertools.pairwise(dealt):
        assert sum(len(each.probes) for each in one) + len(other[0].probes) > size
