"""The house's own rules, read from its imports and its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from late_imports import late_imports

ROOT = Path(__file__).parents[2] / "src"

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"

LIBRARIES_OF_KUBE = {"kubernetes", "urllib3", "websocket"}
NETWORK_AND_PROCESSES = (
    *("socket", "ssl", "subprocess", "asyncio", "threading", "signal", "http", "urllib.request", "requests", "httpx", "aiohttp"),
    *LIBRARIES_OF_KUBE,
)
PURE = ("model", "manifests", "envoy", "istio", "report")
"""Packages that read values and return values: they reach for no network, process or thread, and nothing below them does."""

JUDGE = ("egressctl.verify.evidence", "egressctl.verify.verdict", "egressctl.verify.explain.steps")
"""From values to a verdict, and to the steps of an explanation."""

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


def source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


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


def package(module: str) -> str:
    """Return the package that a module belongs to, as the drawing names it: `errors.py` for a module of the root."""
    words = module.split(".")
    return words[1] if len(words) > 2 or module in packages() else f"{words[-1]}.py"


def drawn() -> list[list[str]]:
    """Return the rows of the drawing in CONTRIBUTING.md, from the top."""
    rows = PAGE.read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0].splitlines()
    return [row.split() for row in rows]


def depth() -> dict[str, int]:
    return {name: depth for depth, row in enumerate(drawn()) for name in row}


def crossings() -> set[tuple[str, str, str]]:
    """Return every import from one package into another: the module, its package, the package that it imports."""
    found = set()
    for module in modules():
        for each in imports(module):
            if each in modules() and within(each, "egressctl") and "egressctl" not in (module, each):
                found.add((module, package(module), package(each)))
    return {(module, here, there) for module, here, there in found if here != there and module != ENTRY_POINT}


# Direction


def test_the_drawing_names_every_package_once() -> None:
    named = [name for row in drawn() for name in row]
    assert sorted(named) == sorted({package(module) for module in modules() if module not in ("egressctl", ENTRY_POINT)})


def test_nothing_but_the_errors_and_the_entry_points_lies_at_the_root() -> None:
    assert {path.name for path in (ROOT / "egressctl").glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}


def test_the_packages_themselves_are_empty() -> None:
    """What stands in an `__init__` is paid for by whoever imports any module of the package."""
    assert not [name for name in packages() - {"egressctl"} if modules()[name].body]


def test_every_import_leads_to_a_lower_row_of_the_drawing() -> None:
    """Those inside functions and for types only are no exception."""
    rows = depth()
    assert not [(module, there) for module, here, there in crossings() if rows[there] <= rows[here]]


def test_the_lab_knows_of_the_house_only_what_istio_does() -> None:
    assert {there for _, here, there in crossings() if here == "lab"} <= {"istio", "model", "errors.py"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Those inside functions and for types only are no exception."""
    known = {module: imports(module) & set(modules()) - {module, "egressctl"} for module in modules()}
    while leaves := {module for module, needed in known.items() if not needed & set(known)}:
        known = {module: needed for module, needed in known.items() if module not in leaves}
    circling = {module: needed & set(known) for module, needed in known.items()}
    assert not circling


def test_the_look_at_imports_sees_those_in_functions_and_for_types() -> None:
    assert "egressctl.cli.console" in imports("egressctl.cli.main")
    assert "typer" in imports("egressctl.cli.main")


@pytest.mark.parametrize("place", PURE)
def test_pure_packages_reach_for_no_network_process_or_thread(place: str) -> None:
    found = [module for module in modules() if within(module, f"egressctl.{place}")]
    assert found
    assert not [(module, each) for module in found for each in imports(module) if within(each, *NETWORK_AND_PROCESSES)]


def test_the_judge_holds_no_client_clock_or_process() -> None:
    """Neither does anything that it imports, also late: it can judge what was read from a file, or inside a pod."""
    seen: set[str] = set()
    left = set(JUDGE)
    while left:
        seen |= left
        left = {each for module in left for each in imports(module) & set(modules())} - seen - packages()
    forbidden = (*NETWORK_AND_PROCESSES, "time", "egressctl.kube.rest", "egressctl.kube.exec", "egressctl.mesh.client")
    assert not [(module, each) for module in seen for each in imports(module) if within(each, *forbidden)]


def test_only_the_command_line_knows_its_libraries() -> None:
    assert {package(module) for module in importers("typer", "click", "rich")} == {"cli"}


def test_only_kube_knows_its_libraries() -> None:
    assert all(within(module, "egressctl.kube") for module in importers(*LIBRARIES_OF_KUBE))
    assert importers(*LIBRARIES_OF_KUBE)


def test_the_two_halves_of_the_lab_do_not_know_each_other() -> None:
    assert not [module for module in importers("egressctl.lab.api") if within(module, "egressctl.lab.dataplane")]
    assert not [module for module in importers("egressctl.lab.dataplane") if within(module, "egressctl.lab.api")]


def test_only_the_console_knows_rich() -> None:
    assert importers("rich") == {"egressctl.cli.console"}


def test_only_what_fetches_lists_knows_its_library() -> None:
    assert importers("httpx") == {"egressctl.catalog.fetch"}
    assert "httpx" not in reachable("egressctl.catalog.fetch")


# Printing and exiting


@cache
def calls(module: str) -> frozenset[str]:
    nodes = list(ast.walk(modules()[module]))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return frozenset(called | {ast.unparse(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc})


SPEAKING = {"print", "sys.stdout.write", "sys.stderr.write", "input"}
EXITING = {"sys.exit", "exit", "quit", "os._exit", "SystemExit"}
FORKED = {"egressctl.runtime.text_search"}
"""Ends no process but the one that it made."""


def test_nothing_but_the_command_line_prints_or_exits() -> None:
    found = {module for module in modules() if {call.partition("(")[0] for call in calls(module)} & (SPEAKING | EXITING)}
    assert not [module for module in found - ENTRY_POINTS_OF_THE_LAB - FORKED if not within(module, "egressctl.cli")]


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


@cache
def imports_at_once(module: str) -> frozenset[str]:
    return frozenset(imported(at_once(modules()[module].body)))


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
            waiting += imports_at_once(each)
            waiting += [".".join(each.split(".")[:end]) for end in range(1, each.count(".") + 1)]
    return found


HEAVY = ("kubernetes", "httpx", "aiohttp", "rich", "yaml", "websocket", "urllib3", "cryptography", "typer")


def test_the_entry_point_imports_nothing_heavy() -> None:
    found = reachable("egressctl.cli.main")
    assert "egressctl.cli.kubectl_flags" in found
    assert not [each for each in found if within(each, *HEAVY)]


def test_no_command_imports_the_client_the_labs_server_or_rich_before_it_is_run() -> None:
    heavy = ("kubernetes", "httpx", "aiohttp", "rich", "websocket", "urllib3", "cryptography", "egressctl.lab")
    commands = [module for module in modules() if within(module, "egressctl.cli")]
    assert not [(module, each) for module in commands for each in reachable(module) if within(each, *heavy)]


def test_a_rule_of_lint_is_not_imported_with_the_others() -> None:
    """Of 74 a run needs two dozen, and a completion of their names none."""
    assert not [
        each for each in reachable("egressctl.lint.rule") if each.startswith("egressctl.lint.rules.") and each in modules()
    ]
    assert "egressctl.lint.rules.host_bits" in modules()


def test_reading_what_is_imported_at_once_sees_through_a_chain() -> None:
    """Else the two tests above could not fail."""
    assert "yaml" in reachable("egressctl.manifests.egress_target")
    assert "yaml" not in imports("egressctl.manifests.egress_target")
    assert "urllib3" in imports("egressctl.kube.connection")
    assert "urllib3" not in reachable("egressctl.kube.connection")


def test_the_official_client_is_loaded_in_one_place() -> None:
    assert importers("egressctl.kube.official") == {"egressctl.kube.config", "egressctl.kube.connection"}
    assert not importers("kubernetes"), "egressctl.kube.official loads it, without the rest of its package"


LATE = re.compile(r"# imported late: [1-9]\d* ms$", re.IGNORECASE)


def test_a_late_import_says_what_it_saves() -> None:
    """At its line, that of the first of several, or the one above; `tools/late_imports.py --write` measures it."""
    silent = []
    for module, tree in modules().items():
        lines = source(module).splitlines()
        for group in late_imports(tree):
            first = group[0].lineno
            above = lines[first - 2].strip()
            if not LATE.search(lines[first - 1]) and not (above.startswith("#") and LATE.search(above)):
                silent.append(f"{module}:{first}")
    assert not silent


def test_the_look_for_late_imports_sees_those_in_branches_and_in_functions_of_functions() -> None:
    text = "def f():\n import a\n import b\n if c:\n  import d\n def g():\n  try:\n   import e\n  finally: pass\nimport h"
    assert [[each.lineno for each in group] for group in late_imports(ast.parse(text))] == [[2, 3], [5], [8]]


# Names and words


def test_no_module_is_named_for_nothing() -> None:
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert not [module for module in modules() if vague & set(module.split("."))]


def test_every_module_with_something_in_it_says_what_it_is_for() -> None:
    assert not [module for module, tree in modules().items() if tree.body and not ast.get_docstring(tree)]


@pytest.mark.parametrize("module", ["egressctl.verify.causes", "egressctl.verify.verdict", "egressctl.verify.collect"])
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


COMMAND = re.compile(r"\b(?:kubectl|istioctl|egressctl) (?!made\b)[a-z][^:;,]*$")
"""The beginning of a command line in a sentence, up to where a value is put in."""

AS_THEY_ARE = {
    # Command lines and flags that are quoted already.
    *("words", "flag", "where", "target", "namespace", "choice.namespace_flag", "words_to_create(typed.probe_url)"),
    # Numbers, and words of our own.
    *("port", "typed.known_port", "wanted.ports[0].protocol", "kind", "group", "self.kind.lower()", "options.run_id"),
    *("create_options.run_id", "shown", "form", "name"),
}
"""Values in command lines that no server has given, or that have been through `quote`."""


def values_in_commands(tree: ast.Module) -> Iterator[str]:
    """Each value that is put into a command line as it is."""
    for node in ast.walk(tree):
        text = ""
        for part in node.values if isinstance(node, ast.JoinedStr) else ():
            if isinstance(part, ast.FormattedValue):
                value = part.value
                is_quoted = isinstance(value, ast.Call) and ast.unparse(value.func) == "quote"
                if COMMAND.search(text) and not is_quoted and not ast.unparse(value).isupper():
                    yield ast.unparse(value)
                text += "X"
            elif isinstance(part, ast.Constant):
                text += str(part.value)


@pytest.mark.parametrize("module", [name for name in modules() if not name.startswith("egressctl.lab.")])
def test_what_a_server_says_is_quoted_in_command_lines(module: str) -> None:
    assert set(values_in_commands(modules()[module])) <= AS_THEY_ARE, "quote() of runtime.sanitize makes a word of it"
