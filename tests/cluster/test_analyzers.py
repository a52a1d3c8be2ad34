"""What lint says in the name of istioctl's analyzers, against what they say of the same entries.

EGRESSCTL_TEST_SEED gives other entries, EGRESSCTL_TEST_REFUSALS another number of them.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cluster.cluster import RealCluster
from egressctl.lint.api_server import api_server_findings, istioctl_findings
from egressctl.lint.rules import addresses_advised, protocols_differ
from egressctl.manifests.yaml_reader import Document
from oddities import side_by_side

COUNT = int(os.environ.get("EGRESSCTL_TEST_REFUSALS", "200"))
CODES = {addresses_advised.RULE.id: "IST0134", protocols_differ.RULE.id: "IST0177"}
WARNED = "addresses-required"
"""What the API server says itself where IST0134 would be said: it is told once, as the API server's."""


def ours(entries: Sequence[dict[str, Any]]) -> Counter[tuple[str, str]]:
    documents = [Document(each, f"{each['metadata']['namespace']}/{each['metadata']['name']}", {(): 1}) for each in entries]
    told = Counter((CODES[found.rule], found.file) for found in istioctl_findings(documents))
    for document in documents:
        if not document.value.get("status", {}).get("addresses"):
            told.update(
                (CODES[addresses_advised.RULE.id], found.file) for found in api_server_findings(document) if found.rule == WARNED
            )
    return told


def test_hundreds_of_entries_side_by_side_are_warned_of_as_istioctl_does(real: RealCluster) -> None:
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    codes = dict.fromkeys(CODES.values(), 0)
    for number in range(COUNT):
        entries = side_by_side(chance)
        theirs = Counter((code, name) for code, name in real.analyzed(entries))
        assert ours(entries) == theirs, f"EGRESSCTL_TEST_SEED={seed}, number {number}\n{json.dumps(entries)}"
        for code, _ in theirs:
            codes[code] += 1
    assert all(codes.values()), codes
