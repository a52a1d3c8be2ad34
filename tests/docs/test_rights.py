"""What the pages say that egressctl asks for is what it asks for: every request and every exec, seen on the wire."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from docs.pages import ROOT, read
from docs.shell import Reader, a_reader
from egressctl.kube.rbac import EXTRAS, GATEWAY_KINDS
from faults import Call, FaultProxy
from forked import Forks

Right = tuple[str, str]

_OBJECTS = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v[^/]+(?:/namespaces/[^/]+)?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?"
)
_VERBS = {"PATCH": "patch", "DELETE": "delete", "POST": "create", "PUT": "update"}

COMMANDS = {
    "lint": "egressctl lint wikipedia",
    "diff": "egressctl diff wikipedia",
    "snapshot": "egressctl snapshot saved",
    "create": "egressctl create wikipedia",
    "verify": "egressctl verify wikipedia",
    "explain": "egressctl explain https://www.wikipedia.org",
    "list": "egressctl list",
    "cleanup": "egressctl cleanup",
    "run": "egressctl run wikipedia",
    "create --with-source": "egressctl create wikipedia -n other --with-source",
    "cleanup of that pod": "egressctl cleanup -n other",
}
"""The rows of the page, and a command for each, in an order in which each finds what it needs."""
BASES = {"create --with-source": "create", "cleanup of that pod": "cleanup"}
"""Rows that are told beside those of another."""
CAUSES, LOG = "--causes", "--log"
"""The rows of what is asked for where it may be."""


def _right(call: Call) -> Right | None:
    """Return the resource and the verb of a request, None for those about the API itself."""
    found = _OBJECTS.fullmatch(call.path)
    if not found:
        return None
    resource = ".".join(filter(None, (found["plural"], found["group"])))
    if found["sub"]:
        return f"{resource}/{found['sub']}", "get"
    return resource, _VERBS.get(call.method, "get" if found["name"] else "list")


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory, forking: Forks) -> Iterator[dict[str, list[Call]]]:
    """What each command asked of the API."""
    folder = tmp_path_factory.mktemp("rights")
    with a_reader(folder, forking) as reader:
        reader.use_lab()
        with FaultProxy(Path(reader.environment["KUBECONFIG"]), folder / "proxy") as proxy:
            reader.environment["KUBECONFIG"] = str(proxy.kubeconfig)
            yield {name: _asked(reader, proxy, line) for name, line in COMMANDS.items()}


def _asked(reader: Reader, proxy: FaultProxy, line: str) -> list[Call]:
    proxy.calls.clear()
    (ran,) = reader.type([line])
    assert ran.code in (0, 1), ran.output
    return list(proxy.calls)


@pytest.fixture(scope="module")
def told() -> dict[str, set[Right]]:
    """The page's table: rights by row."""
    rows: dict[str, set[Right]] = {}
    for line in re.findall(r"^\| `.*$", read(ROOT / "docs" / "reference" / "rbac.md").text, re.MULTILINE):
        what, resource, verbs = (cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        rows.setdefault(what, set()).update((resource, verb) for verb in verbs.split(", "))
    return rows


def test_a_command_asks_for_the_rights_that_the_page_says(calls: dict[str, list[Call]], told: dict[str, set[Right]]) -> None:
    for command in COMMANDS:
        asked = {right for call in calls[command] if (right := _right(call))}
        allowed = told[command] | told.get(BASES.get(command, ""), set()) | told[CAUSES] | told[LOG]
        assert asked <= allowed, command
        assert told[command] <= asked, command


def test_the_page_has_no_rights_of_commands_that_are_not_held(told: dict[str, set[Right]]) -> None:
    assert set(told) == {*COMMANDS, CAUSES, LOG}
    for row in (CAUSES, LOG):
        assert told[row] == {(rule.resource, verb) for rule in EXTRAS[row.removeprefix("--")] for verb in rule.verbs}


def test_lint_looks_at_everything_that_the_page_says(calls: dict[str, list[Call]], told: dict[str, set[Right]]) -> None:
    # The lab does not serve the Gateway API: a real API server does where tests/integration/verify/test_routes.py looks at it.
    served = {right for right in told[CAUSES] if right[0] not in GATEWAY_KINDS}
    assert served <= {right for call in calls["lint"] if (right := _right(call))}


def test_the_commands_run_in_pods_are_those_on_the_page(calls: dict[str, list[Call]]) -> None:
    page = read(ROOT / "docs" / "reference" / "exec-commands.md")
    ran = [
        (parse_qs(call.query)["container"], parse_qs(call.query)["command"])
        for asked in calls.values()
        for call in asked
        if call.is_exec
    ]
    reads = {re.sub("(?<=name_regex=).*", "NAMES", " ".join(argv)) for (container,), argv in ran if container == "istio-proxy"}
    assert reads == set(re.findall(r"^\| `(.+)` \|$", page.text, re.MULTILINE))
    blocks = [shlex.split(block.body) for block in page.blocks]
    words = {_plain(word) for argv in blocks for word in argv}
    sent = [argv for (container,), argv in ran if container != "istio-proxy"]
    assert sent
    assert {argv[0] for argv in sent} == {"curl", "getent"}
    assert {_plain(word) for argv in sent for word in argv} <= words


def _plain(word: str) -> str:
    """Return an argument without what a page can only name: the URL, the local ports, and the number of the transfer."""
    word = re.sub(r"^\d{5}-\d{5}$", "PORTS", word)
    word = re.sub(r"^(https?://.*|URL-\d)$", "URL", word)
    word = re.sub(r"^(www\.wikipedia\.org|HOST)$", "NAME", word)
    word = re.sub(r"^telnet://.*:\d+$", "telnet://ADDRESS:443", word)
    return re.sub(r"egressctl \d\\t", r"egressctl N\\t", word)
