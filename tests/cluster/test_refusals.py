"""What egressctl says that an API server refuses, against what a real one with Istio's definitions and webhook says.

EGRESSCTL_TEST_SEED gives other manifests, EGRESSCTL_TEST_REFUSALS another number of them.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from cluster.cluster import HOST, RealCluster
from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.api_server import api_server_findings
from egressctl.lint.rule import RULES, Finding, Severity
from egressctl.lint.rule_page import page_of_rule
from egressctl.manifests.yaml_reader import Document
from oddities import manifest

COUNT = int(os.environ.get("EGRESSCTL_TEST_REFUSALS", "400"))
NOT_IN_THESE_WORDS = {"invalid-metadata", "unserved-version"}
"""Rules whose findings tell it in another order or in fewer words than the API server."""


class Answer(NamedTuple):
    status: int
    message: str
    warnings: list[str]


class Asked:
    """The API server, asked over one connection."""

    def __init__(self, real: RealCluster) -> None:
        tls = ssl.create_default_context(cadata=real.authority.certificate)
        self._connection = http.client.HTTPSConnection(HOST, real.port, context=tls, timeout=30)
        self._headers = {"Authorization": f"Bearer {real.token}", "Content-Type": "application/json"}

    def __call__(self, entry: dict[str, Any]) -> Answer:
        path = f"/apis/{entry['apiVersion']}/namespaces/default/serviceentries?dryRun=All&fieldValidation=Strict"
        self._connection.request("POST", path, json.dumps(entry), self._headers)
        response = self._connection.getresponse()
        body = response.read()
        message = json.loads(body).get("message", "") if body.startswith(b"{") else body.decode()
        warned = [json.loads(each.removeprefix("299 - ")) for each in response.headers.get_all("Warning") or []]
        return Answer(response.status, message or "", warned)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def asked(real: RealCluster) -> Iterator[Asked]:
    connection = Asked(real)
    yield connection
    connection.close()


def said(entry: dict[str, Any]) -> tuple[list[Finding], list[str]]:
    """Return the errors, and the texts of the warnings."""
    found = api_server_findings(Document(json.loads(json.dumps(entry)), "entry.yaml", {(): 1}), "default")
    errors = [each for each in found if each.severity is Severity.ERROR]
    return errors, sorted({each.message for each in found if each.severity is Severity.WARNING})


def agreed(entry: dict[str, Any], answer: Answer) -> bool:
    errors, warned = said(entry)
    if bool(errors) != (answer.status != 201) or warned != sorted(set(answer.warnings)):
        return False
    in_words = [each for each in errors if each.rule not in NOT_IN_THESE_WORDS]
    # That a rule could not be evaluated, or a number is beyond 64 bits, is told in more words.
    others = "evaluating rule" in answer.message or '"number"' in answer.message
    # A whole number within a list is shown without its fraction.
    return others or all(each.message.replace(".0]", "]") in answer.message.replace(".0]", "]") for each in in_words)


def test_hundreds_of_odd_entries_are_refused_and_warned_of_as_a_real_api_server_does(asked: Asked) -> None:
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    statuses = dict.fromkeys((201, 400, 422), 0)
    for number in range(COUNT):
        entry = manifest(chance)
        answer = asked(entry)
        assert agreed(entry, answer), f"EGRESSCTL_TEST_SEED={seed}, number {number}\n{json.dumps(entry)}\n{answer}\n{said(entry)}"
        statuses[answer.status] += 1
    assert all(statuses.values()), statuses


def test_unknown_fields_are_those_that_strict_decoding_names(asked: Asked) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "odd", "Name": None, "ownerReferences": [{"foo": 1}]},
        "spec": {"hosts": [{"a": 1}], "ports": [{"nubmer": 1}], "workloadSelector": {"matchLabels": {}}},
        "status": {"anything": 1, "conditions": [{"foo": 1}]},
        "data": {},
    }
    named = re.findall(r'unknown field "[^"]*"', asked(entry).message)
    assert len(named) == 7
    assert sorted(named) == sorted(each.message for each in said(entry)[0])


@pytest.mark.parametrize("rule", list(Mistake))
def test_the_example_on_the_page_of_a_rule_is_an_example(asked: Asked, rule: str) -> None:
    entry = yaml.safe_load(page_of_rule(RULES[rule]).examples[0].text)
    entry["metadata"]["namespace"] = "default"
    answer = asked(entry)
    assert agreed(entry, answer), answer
    assert (answer.status != 201) == (RULES[rule].severity is Severity.ERROR)
    assert bool(answer.warnings) == (RULES[rule].severity is Severity.WARNING)
