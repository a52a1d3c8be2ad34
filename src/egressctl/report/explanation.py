"""The explained way of a URL as a picture, and as the JSON document of docs/reference/explanation.schema.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from egressctl.envoy.trace import NotTaken
from egressctl.envoy.walk import final_envoy_clusters
from egressctl.model.evidence import Source
from egressctl.report.data_text import data_text, document, entry_names_text
from egressctl.report.json_report import cause_document
from egressctl.report.lines import Content, Line
from egressctl.report.tree import draw_cause, draw_step
from egressctl.runtime.sanitize import neutralise
from egressctl.verify.explain.steps import ExplainedPath

_STATES = {True: "passed", False: "not-passed", None: "unknown"}
_REACHED = {
    True: ("bold green", "leads to"),
    False: ("bold red", "does not lead to"),
    None: ("bold yellow", "perhaps leads to"),
}


def explanation_content(
    source: Source, paths: tuple[ExplainedPath, ...], not_looked_at: tuple[str, ...], form: str, code: int
) -> Content:
    """Return the explanation in a format."""
    if form in ("json", "yaml"):
        return data_text(explanation_document(source, paths, not_looked_at, code), form)
    if form == "name":
        return entry_names_text(dict.fromkeys(each.carrier.name for each in paths if each.carrier))
    return (line for each in paths for line in draw_path(each))


def draw_path(path: ExplainedPath) -> Iterator[Line]:
    """Draw one way: its steps, beneath the filter chain those that lost, what happens next, and why it is not the target's."""
    reached = (("", "  "), (_REACHED[path.reached][0], f"{_REACHED[path.reached][1]} {path.target}")) if path.target else ()
    yield (("bold", neutralise(path.url)), ("", f"  {path.address}" if path.address else ""), *reached)
    for station in path.stations:
        yield draw_step("  ├─", station.name, station.text, station.passed)
        if station.name == "filter chain":
            yield from _draw_losers(path)
    yield draw_step("  ╰─", "next", path.next, path.goes_out)
    if path.cause is not None:
        yield from draw_cause("  ", path.cause, hint=True)


def _draw_losers(path: ExplainedPath) -> Iterator[Line]:
    for each in path.losers:
        yield (("dim", f"  │      not {neutralise(f'{each.what} (to {each.leads_to}): {each.why}')}"),)
    if path.more_losers:
        yield (("dim", f"  │      nor {path.more_losers} more"),)


def explanation_document(
    source: Source, paths: tuple[ExplainedPath, ...], not_looked_at: tuple[str, ...], exit_code: int
) -> dict[str, Any]:
    """Return the explanation as plain data, in the documented order of its keys."""
    return document(
        "Explanation",
        exitCode=exit_code,
        source={
            "namespace": source.namespace,
            "pod": source.pod,
            "container": source.container,
            "sidecar": source.proxy,
            "chosenOf": source.chosen_of,
        },
        paths=[_path(each) for each in paths],
        notLookedAt=list(not_looked_at),
    )


def _path(path: ExplainedPath) -> dict[str, Any]:
    walk = path.walk
    return {
        "url": path.url,
        "address": path.ip or None,
        "resolvedBy": path.resolved_by,
        "stations": [{"name": each.name, "text": each.text, "state": _STATES[each.passed]} for each in path.stations],
        "listener": (walk.listener or None) if walk else None,
        "filterChain": (walk.prefix or walk.filter_chain or walk.matched or None) if walk else None,
        "losers": [_loser(each) for each in path.losers],
        "losersLeftOut": path.more_losers,
        "virtualService": (walk.virtual_service or None) if walk else None,
        "envoyCluster": walk.envoy_cluster if walk else None,
        "choices": list(final_envoy_clusters(walk)) if walk and walk.choices else [],
        "serviceEntry": str(path.carrier) if path.carrier else None,
        "target": {"serviceEntry": path.target, "reached": path.reached} if path.target else None,
        "cause": cause_document(path.cause),
        "next": path.next,
        "leavesPod": path.goes_out,
        "unknown": path.unknown or None,
    }


def _loser(passed: NotTaken) -> dict[str, Any]:
    return {"filterChain": passed.what, "leadsTo": passed.leads_to or None, "why": passed.why}
