"""Prove, for one or more targets, which Envoy cluster sends their probes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from egressctl.envoy.changes import CHANGED
from egressctl.envoy.config import NOTHING_READ
from egressctl.errors import NoSourcePod
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.cause import CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Method, Source
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.runtime.progress import Progress
from egressctl.runtime.sentence import count_of, first_names
from egressctl.verify.collect import prove
from egressctl.verify.evidence import Question, unsent_case
from egressctl.verify.probes_for_entry import hosts_not_asked, why_no_probe
from egressctl.verify.select import VerifyTarget
from egressctl.verify.unsettled import is_unsettled
from egressctl.verify.verdict import judge

_RETRY_PAUSE = 1.0
"""Seconds between two tries that the person asked for."""

_ASK_AGAIN = 1
"""How often evidence that was lost is asked for again, unasked: hosts go with their counts 6 to 10 seconds
after their last connection, and a short exec loses its streams once in some hundreds."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two questions to a sidecar that is changing: each reads all of it."""


class ProbeOptions(NamedTuple):
    """How to ask: limits of a transfer, tries after an answer that was not the expected one, another expectation.

    `at_once` is how many probes are under way at the same time. `patience` is for how many seconds what a changing sidecar
    answered is asked again: there it was waited for, and is to come to rest. `ports` gives the local ports of what is asked
    again.
    """

    limits: curl.TransferLimits = curl.DEFAULT_LIMITS
    retries: int = 0
    expect: Verdict | None = None
    at_once: int = curl.EXECS_AT_ONCE
    patience: float = 0.0
    ports: Callable[[], range] = lambda: curl.unusual_ports(random_below)


def verify(
    mesh: Mesh,
    sidecar: Sidecar | NoSourcePod,
    wanted: Sequence[VerifyTarget],
    options: ProbeOptions,
    progress: Progress,
    *,
    announce: bool = True,
) -> list[TargetResult]:
    """Send every target's probes from the sidecar's pod, and judge them; `announce` says so first.

    Without a source pod every probe is inconclusive, with the reason; nothing else that could not be asked raises either.
    A target without a probe says why it has none.
    """
    if isinstance(sidecar, NoSourcePod):
        return [_result_without_source(target, sidecar) for target in wanted]
    questions = [question for target in wanted for question in _questions(target, options)]
    pod = sidecar.source
    if announce and questions:
        probes = count_of(len(questions), "probe", "probes")
        progress.step(f"sending {probes} from pod {pod.namespace}/{pod.pod}, container {pod.container}")
    results = prove(mesh, sidecar, questions, options.limits, at_once=options.at_once) if questions else []
    entries = [target.entries for target in wanted for _ in target.probes]
    places, missing = _ask_other_families(mesh, sidecar, questions, options, results, entries, progress)
    for _ in range(_ASK_AGAIN):
        _ask_some_again(mesh, sidecar, questions, options, results, [_lost_evidence(result) for result in results])
    _ask_until_settled(mesh, sidecar, questions, options, results, progress)
    _ask_nameless_by_address(mesh, sidecar, questions, options, results, progress)
    for attempt in range(options.retries):
        # An expected denial that did not hold is never asked for again: that would hide an open door.
        missed = [not result.held and result.probe.expect.verdict is Verdict.OPEN for result in results]
        if not any(missed):
            break
        progress.step(f"{sum(missed)} not as expected, trying again ({attempt + 1} of {options.retries})")
        time.sleep(_RETRY_PAUSE)
        _ask_some_again(mesh, sidecar, questions, options, results, missed)
    indices = iter(range(len(entries)))
    targets = []
    for target in wanted:
        own = [next(indices) for _ in target.probes]
        asked = tuple(results[place] for index in own for place in (index, *places.get(index, ())))
        lacking = tuple(missing[index] for index in own if index in missing)
        targets.append(_result_of_target(target, asked, pod.namespace, lacking))
    if not any(target.split for target in wanted) or options.expect not in (None, Verdict.OPEN):
        return targets
    # Few targets have several entries.
    from egressctl.verify.split_targets import split_target_results  # imported late: 1 ms

    parts = split_target_results(mesh, sidecar, wanted, progress)
    return [replace(result, parts=each) for result, each in zip(targets, parts, strict=True)]


def _ask_other_families(
    mesh: Mesh,
    sidecar: Sidecar,
    questions: list[Question],
    options: ProbeOptions,
    results: list[ProbeResult],
    entries: Sequence[Sequence[ServiceEntry]],
    progress: Progress,
) -> tuple[Mapping[int, tuple[int, ...]], Mapping[int, str]]:
    """Ask from a dual-stack pod over the families that the first probes did not use, and add questions and results.

    Return where those of each probe stand, and by a probe what it could not be asked over, for its host has no such address.
    """
    if len(sidecar.source.families) < 2:
        return {}, {}
    # Few pods have both.
    from egressctl.verify.ip_family import questions_of_other_family  # imported late: 1 ms

    more = questions_of_other_family(sidecar, questions, results, entries)
    for what, why in dict.fromkeys(more.missing.values()):
        progress.step(f"not asked: {what}: {why}")
    places = {index: (len(questions) + number,) for number, index in enumerate(more.questions)}
    if places:
        progress.step(f"sending {count_of(len(places), 'probe', 'probes')} over the other IP family")
        limits = options.limits._replace(local_ports=options.ports())
        results += prove(mesh, sidecar, list(more.questions.values()), limits, at_once=options.at_once)
        questions += more.questions.values()
    return places, {index: each.what for index, each in more.missing.items()}


def _questions(wanted: VerifyTarget, options: ProbeOptions) -> list[Question]:
    entry = read_entry(wanted.manifest) if wanted.manifest else None
    probes = wanted.probes
    if options.expect is not None:
        probes = tuple(replace(probe, expect=replace(probe.expect, verdict=options.expect)) for probe in probes)
    return [Question(probe, wanted.entry_name, entry, wanted.namespace) for probe in probes]


def _ask_some_again(
    mesh: Mesh,
    sidecar: Sidecar,
    questions: Sequence[Question],
    options: ProbeOptions,
    results: list[ProbeResult],
    which: Sequence[bool],
) -> None:
    """Ask some of the questions once more, all of it again, and put their results in place."""
    places = [index for index, chosen in enumerate(which) if chosen]
    if not places:
        return
    sidecar.known = NOTHING_READ
    limits = options.limits._replace(local_ports=options.ports())
    again = [questions[index] for index in places]
    asked = prove(mesh, sidecar, again, limits, alone=True, last_resort=True, at_once=options.at_once)
    for index, result in zip(places, asked, strict=True):
        results[index] = result


def _ask_until_settled(
    mesh: Mesh,
    sidecar: Sidecar,
    questions: Sequence[Question],
    options: ProbeOptions,
    results: list[ProbeResult],
    progress: Progress,
) -> None:
    """Ask again what a changing sidecar answered, until it has come to rest or the patience is at its end."""
    ends, pause = time.monotonic() + options.patience, _FIRST_PAUSE
    while any(unsettled := list(map(is_unsettled, results))) and time.monotonic() + pause < ends:
        progress.step(f"the sidecar of pod {sidecar.source.pod} is still changing, asking again")
        time.sleep(pause)
        _ask_some_again(mesh, sidecar, questions, options, results, unsettled)
        pause = min(pause * 1.6, _LONGEST_PAUSE)


def _ask_nameless_by_address(
    mesh: Mesh,
    sidecar: Sidecar,
    questions: list[Question],
    options: ProbeOptions,
    results: list[ProbeResult],
    progress: Progress,
) -> None:
    """Ask at an address of the entry what could not be asked because the URL's host is a name that resolves to none.

    That is reported, whatever comes of it: an application in that pod has to know the address by another way.
    """
    nameless = [bool(result.probe.else_ip) and _failed_for_its_name(result) for result in results]
    hosts: dict[str, dict[str, None]] = {}
    for index in (index for index, chosen in enumerate(nameless) if chosen):
        probe = questions[index].probe
        questions[index] = questions[index]._replace(probe=replace(probe, connect_ip=probe.else_ip))
        hosts.setdefault(probe.else_ip, {})[probe.host] = None
    _ask_some_again(mesh, sidecar, questions, options, results, nameless)
    for ip, names in hosts.items():
        progress.warn(f"the pod cannot resolve {first_names(list(names), 3)}: asked at {ip}, which the ServiceEntry has")


def _failed_for_its_name(result: ProbeResult) -> bool:
    return not result.held and result.cause is not None and result.cause.code is CauseCode.NAME_RESOLUTION


def random_below(below: int) -> int:
    """Return a number from 0 below the one given, as chance will have it."""
    return int.from_bytes(os.urandom(4), "big") % below


def _lost_evidence(result: ProbeResult) -> bool:
    """Say whether the judgement misses only evidence that another try may bring."""
    if result.verdict not in (Verdict.UNPROVEN, Verdict.INCONCLUSIVE) or result.cause is None:
        return False
    if result.probe.bare and result.evidence is not None and Method.CAPTURED in result.evidence.methods:
        # What else it misses, no bare connection has.
        return result.evidence.walk is not None and result.evidence.walk.unknown == CHANGED
    owner = result.evidence.owner if result.evidence else None
    return result.cause.code in (CauseCode.EVIDENCE_LOST, CauseCode.PROXY_UNREADABLE) or bool(owner and owner.outdated)


def _result_without_source(wanted: VerifyTarget, missing: NoSourcePod) -> TargetResult:
    """Return the inconclusive result of a target that no pod could be found for."""
    nowhere = Source(wanted.namespace, "", "", None)
    probes = []
    for probe in wanted.probes:
        result = judge(unsent_case(Question(probe, wanted.entry_name), nowhere, CauseCode.NO_SOURCE_POD, str(missing)))
        cause = result.cause._replace(hint=missing.hint or result.cause.hint) if result.cause else None
        probes.append(replace(result, source=None, cause=cause))
    return _result_of_target(wanted, tuple(probes), wanted.namespace)


def _result_of_target(
    wanted: VerifyTarget, probes: tuple[ProbeResult, ...], pod_namespace: str, lacking: tuple[str, ...] = ()
) -> TargetResult:
    """Return what came of a target, with the hosts that were not asked; or why it has no probe."""
    return TargetResult(
        wanted.name,
        wanted.namespace,
        wanted.entry_names,
        probes,
        not_probed=None if probes else why_no_probe(wanted, pod_namespace),
        unasked=(*hosts_not_asked(wanted.entries, wanted.probes), *dict.fromkeys(lacking)) if probes else (),
    )
