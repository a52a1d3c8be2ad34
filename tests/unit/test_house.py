"""The house's own rules, read from its imports and its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src"

LIBRARIES_OF_KUBE = {"kubernetes", "urllib3", "websocket"}
USE_CASES = {
    "create",
    "arrival",
    "asking",
    "verify",
    "cleanup",
    "run",
    "mesh",
    "proof",
    "removal",
    "inventory",
    "doctor",
    "sidecar",
    "surroundings",
    "standing",
    "outdated",
    "lint",
    "around",
    "resolving",
    "explain",
    "publications",
    "refresh",
    "drift",
    "diff",
    "snapshot",
}

ENTRY_POINTS_OF_THE_LAB = {"egressctl.lab.supervisor", "egressctl.lab.internet", "egressctl.lab.dataplane.init"}
"""Run as `python -m`: processes of their own, whose stdout is read by the one that started them."""

ENTRY_POINT = "egressctl.__main__"


@cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


@cache
def packages() -> frozenset[str]:
    return frozenset(".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.rglob("__init__.py"))


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Every module that these statements import; `from a import b` is also `a.b`, should that be a module."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """All that a module imports anywhere in it, also within functions and for types only."""
    return frozenset(imported(ast.walk(modules()[module])))


def within(module: str, *places: str) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def importers(*places: str) -> set[str]:
    return {module for module in modules() if any(within(each, *places) for each in imports(module))}


CORE = sorted(
    module
    for module in modules()
    if not within(module, "egressctl.cli", "egressctl.lab") and module not in (ENTRY_POINT, "egressctl")
)
LAB = sorted(module for module in modules() if within(module, "egressctl.lab"))


def test_the_house_is_read_whole() -> None:
    assert {"egressctl.verdict", "egressctl.kube.rest", "egressctl.envoy.walk", "egressctl.report.document"} <= set(CORE)
    assert {"egressctl.lab.control", "egressctl.lab.api.server", "egressctl.lab.dataplane.xds"} <= set(LAB)
    assert {f"egressctl.{name}" for name in USE_CASES} <= set(CORE)
    assert "egressctl.model" in imports("egressctl.verdict")


# Direction


@pytest.mark.parametrize("module", CORE)
def test_the_core_knows_neither_the_command_line_nor_the_lab(module: str) -> None:
    assert not [each for each in imports(module) if within(each, "typer", "click", "rich", "egressctl.cli", "egressctl.lab")]


@pytest.mark.parametrize("module", LAB)
def test_the_lab_knows_no_use_case_no_client_and_no_command_line(module: str) -> None:
    others = [f"egressctl.{name}" for name in (*USE_CASES, "kube", "cli")]
    assert not [each for each in imports(module) if within(each, *others, "typer", "rich", *LIBRARIES_OF_KUBE)]


def test_only_kube_knows_its_libraries() -> None:
    assert all(within(module, "egressctl.kube") for module in importers(*LIBRARIES_OF_KUBE))
    assert importers(*LIBRARIES_OF_KUBE)


def test_the_two_halves_of_the_lab_do_not_know_each_other() -> None:
    assert not [module for module in importers("egressctl.lab.api") if within(module, "egressctl.lab.dataplane")]
    assert not [module for module in importers("egressctl.lab.dataplane") if within(module, "egressctl.lab.api")]


def test_only_the_console_knows_rich() -> None:
    assert importers("rich") == {"egressctl.cli.console"}


PURE = (
    "errors", "model", "neutral", "curl", "capture", "causes", "verdict", "exitcodes", "ownership", "serviceentry", "source",
    "podspec", "interception", "approach", "claims", "stations", "oldcurl", "waiting", "sample", "target", "validate",
    "documents", "differences", "progress", "compare", "reports", "listing", "snapshots", "envoy", "report", "catalog",
    "cli.arguments", "rules", "clashes", "obstacles", "blocks", "fronts", "neighbours", "crowding", "staleness", "entryrules",
    "ignores", "filelint", "split", "parts",
)  # fmt: skip
NOT_PURE = ("egressctl.catalog.fetch", "egressctl.catalog.remembered")
"""What of the catalogue reaches for the network, and for what came from there before."""
IO = ("socket", "ssl", "subprocess", "asyncio", "threading", "http", "urllib.request", "requests", "httpx", "aiohttp", "signal")


@pytest.mark.parametrize("place", PURE)
def test_pure_modules_reach_for_no_network_process_or_thread(place: str) -> None:
    found = [module for module in modules() if within(module, f"egressctl.{place}") and module not in NOT_PURE]
    assert found
    outer = [f"egressctl.{name}" for name in (*USE_CASES, "kube")]
    forbidden = (*IO, *outer)
    assert not [each for module in found for each in imports(module) if within(each, *forbidden, *NOT_PURE)]


def test_only_what_fetches_lists_knows_its_library() -> None:
    assert importers("httpx") == {"egressctl.catalog.fetch"}
    assert "httpx" not in reachable("egressctl.catalog.fetch")


def test_errors_and_model_know_nothing_of_the_house() -> None:
    for module in ("egressctl.errors", "egressctl.model"):
        assert not [each for each in imports(module) if within(each, "egressctl")]


def test_kube_knows_of_the_house_only_what_is_below_it() -> None:
    for module in (module for module in CORE if within(module, "egressctl.kube")):
        mine = {each for each in imports(module) if within(each, "egressctl") and not within(each, "egressctl.kube")}
        below = {
            each
            for each in mine
            if within(each, "egressctl.errors", "egressctl.parallel", "egressctl.__version__", "egressctl.rights")
        }
        assert mine - below <= {"egressctl"}, module


# Printing and exiting


def calls(module: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(modules()[module]) if isinstance(node, ast.Call)} | {
        ast.unparse(node.exc) for node in ast.walk(modules()[module]) if isinstance(node, ast.Raise) and node.exc
    }


SPEAKING = {"print", "sys.stdout.write", "sys.stderr.write", "input"}
EXITING = {"sys.exit", "exit", "quit", "os._exit", "SystemExit"}


@pytest.mark.parametrize("module", [*CORE, *sorted(set(LAB) - ENTRY_POINTS_OF_THE_LAB)])
def test_nothing_but_the_command_line_prints_or_exits(module: str) -> None:
    assert not {call.partition("(")[0] for call in calls(module)} & (SPEAKING | EXITING)


def test_the_command_line_exits_in_one_place() -> None:
    leaving = {module for module in modules() if within(module, "egressctl.cli") and calls(module) & EXITING}
    assert leaving == {"egressctl.cli.main"}


def test_the_labs_entry_points_are_run_as_such() -> None:
    for module in ENTRY_POINTS_OF_THE_LAB:
        assert "__name__ == '__main__'" in ast.unparse(modules()[module])
    others = set(modules()) - ENTRY_POINTS_OF_THE_LAB - {ENTRY_POINT}
    assert not [module for module in others if "__name__ == '__main__'" in ast.unparse(modules()[module])]


# What is imported before it is needed


def at_once(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """The statements that run when a module is imported: not the bodies of functions, nor what is for types only."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_once(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            for block in ("body", "orelse", "finalbody", "handlers"):
                yield from at_once(getattr(node, block, []))


def reachable(module: str) -> set[str]:
    """All that importing a module imports, of the house and of others."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        if each in modules():
            waiting += imported(at_once(modules()[each].body))
            waiting += [".".join(each.split(".")[:end]) for end in range(1, each.count(".") + 1)]
    return found


HEAVY = ("kubernetes", "httpx", "aiohttp", "rich", "yaml", "websocket", "urllib3", "cryptography", "typer")


def test_the_entry_point_imports_nothing_heavy() -> None:
    found = reachable("egressctl.cli.main")
    assert "egressctl.cli.arguments" in found
    assert not [each for each in found if within(each, *HEAVY)]


@pytest.mark.parametrize("module", sorted(module for module in modules() if within(module, "egressctl.cli")))
def test_no_command_imports_the_client_the_labs_server_or_rich_before_it_is_run(module: str) -> None:
    heavy = ("kubernetes", "httpx", "aiohttp", "rich", "websocket", "urllib3", "cryptography", "egressctl.lab")
    assert not [each for each in reachable(module) if within(each, *heavy)]


def test_reading_what_is_imported_at_once_sees_through_a_chain() -> None:
    """Else the two tests above could not fail."""
    assert "yaml" in reachable("egressctl.target")
    assert "yaml" not in imports("egressctl.target")
    assert "urllib3" in imports("egressctl.kube.connection")
    assert "urllib3" not in reachable("egressctl.kube.connection")


def test_the_official_client_is_loaded_in_one_place() -> None:
    assert importers("egressctl.kube.official") == {"egressctl.kube.config", "egressctl.kube.connection"}
    assert not importers("kubernetes"), "egressctl.kube.official loads it, without the rest of its package"


# Names and words


def test_no_module_is_named_for_nothing() -> None:
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert not [module for module in modules() if vague & set(module.split("."))]


@pytest.mark.parametrize("module", sorted(modules()))
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(modules()[module])


@pytest.mark.parametrize("module", ["egressctl.causes", "egressctl.verdict", "egressctl.proof"])
def test_no_sentence_says_cluster_without_saying_whose(module: str) -> None:
    tree = modules()[module]
    docs = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
    }
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert texts
    bare = re.compile(r"(?<!Envoy )(?<!Kubernetes )\bclusters?\b", re.IGNORECASE)
    assert not [text for text in texts if text not in docs and bare.search(text)]


def test_the_look_for_bare_words_finds_them() -> None:
    bare = re.compile(r"(?<!Envoy )(?<!Kubernetes )\bclusters?\b", re.IGNORECASE)
    assert bare.search("the cluster is not there")
    assert not bare.search("BlackHoleCluster is an Envoy cluster of no Kubernetes cluster")
