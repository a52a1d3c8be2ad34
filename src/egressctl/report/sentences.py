"""What became of a target in one sentence: how many of what, who sent them, and why not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from egressctl.envoy.config import BLACKHOLE, LETS_OUT
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import Capture, Ownership
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.report import exit_codes
from egressctl.runtime.sentence import count_of, first_names

_NAMES_SENDER = (CauseCode.PASSTHROUGH, CauseCode.RIVAL_ENTRY)
"""Causes whose sentences say who sent it, which has been said."""
_MOST_NAMES = 3


def target_summary(target: TargetResult) -> str:
    """Say in one sentence what became of a target; its name is not in it."""
    return "; then ".join(sentence for sentence, _ in target_sentences(target)) or _done_to(target)


def target_sentences(target: TargetResult) -> list[tuple[str, tuple[ProbeResult, ...]]]:
    """Return a sentence for each time that the target was asked, with its probes: as it is, and after its entry was removed."""
    found: list[tuple[str, tuple[ProbeResult, ...]]] = []
    if target.probes:
        removed = target.action == "deleted"
        told = _closed(target.probes) if removed else _counted(target.probes)
        found.append((told + _parts(target) + _unasked(target), target.probes))
    elif target.not_probed is not None:
        lead = "not proved" if target.not_probed.named else "not probed"
        found.append((f"{lead}: {target.not_probed.reason}", ()))
    elif target.parts_not_in_force:
        found.append((f"no probe was sent{_parts(target)}", ()))
    if target.closure:
        found.append((_closed(target.closure), target.closure))
    return found


def target_mark(target: TargetResult, probes: Sequence[ProbeResult], allow_unproven: bool) -> bool | None:
    """Say whether these probes of a target, and its entries, are as expected; None where that is not known."""
    if not probes and target.not_probed is not None:
        return None
    marks = [probe_mark(probe) for probe in probes]
    if probes is target.probes:
        codes = (exit_codes.exit_code_of_entry(part, allow_unproven) for part in target.parts_not_in_force)
        marks += [False if code == 1 else None for code in codes]
    return joined_mark(marks)


def joined_mark(marks: Collection[bool | None]) -> bool | None:
    """Return the mark of several: False if one is, else None if one is not known."""
    return False if False in marks else None if None in marks else True


def probe_mark(result: ProbeResult) -> bool | None:
    """Say whether a probe is as expected; None where what it is could not be shown."""
    if result.held:
        return True
    return None if result.verdict in (Verdict.UNPROVEN, Verdict.INCONCLUSIVE) else False


def _counted(probes: Sequence[ProbeResult]) -> str:
    """Count the probes that are as expected, say who sent them, and for the others what they are and why."""
    held = [probe for probe in probes if probe.held]
    wanted = {probe.probe.expect.verdict for probe in probes}
    seen = {probe.verdict for probe in held} or wanted
    parts = []
    if len(seen) == 1 and (wanted == seen or len(held) == len(probes)):
        [verdict] = seen
        parts.append(f"{len(held)} of {len(probes)} {verdict}{_how(held)}")
    else:
        alike = [[probe for probe in held if probe.verdict is verdict] for verdict in Verdict if verdict in seen and held]
        told = ", ".join(f"{len(group)} {group[0].verdict}{_how(group)}" for group in alike)
        parts.append(f"{len(held)} of {len(probes)} as expected" + (f": {told}" if told else ""))
    groups: dict[tuple[Verdict, str, str], list[ProbeResult]] = {}
    for probe in probes:
        if not probe.held:
            key = (probe.verdict, str(probe.cause.code) if probe.cause else "", _sender([probe]))
            groups.setdefault(key, []).append(probe)
    parts += [f"{len(group)} {group[0].verdict}{_how(group)}" for group in groups.values()]
    return "; ".join(parts)


def _closed(probes: Sequence[ProbeResult]) -> str:
    """Say of an entry that was removed whether the egress is closed: only refusals show it."""
    if all(probe.held and probe.verdict is Verdict.BLOCKED for probe in probes):
        lead = "closed"
    elif any(map(_was_let_out, probes)):
        lead = "not closed"
    else:
        lead = "not shown to be closed"
    return f"{lead}: {_counted(probes)}"


def _was_let_out(probe: ProbeResult) -> bool:
    """Say whether a probe shows that an egress is open: one that failed may never have come so far."""
    captured = probe.evidence is not None and probe.evidence.capture is Capture.CAPTURED
    return probe.verdict in (Verdict.OPEN, Verdict.BYPASSED) or (probe.verdict is Verdict.FAILED and captured)


def _how(group: Sequence[ProbeResult]) -> str:
    """Say of probes of one verdict how they came to it: who sent them, or why they were refused or failed."""
    if not group:
        return ""
    verdict, held = group[0].verdict, group[0].held
    if verdict is Verdict.OPEN:
        sender = _sender(group)
        return f": {sender} (proved)" if sender else " (proved)"
    if verdict is Verdict.BLOCKED and held:
        return f" (proved): {_refusal(group)}"
    said = _sender(group) if verdict is Verdict.BYPASSED else ""
    cause = group[0].cause
    if cause is None:
        return f": {said}" if said else ""
    if held and said:
        policies = {probe.evidence.policy for probe in group if probe.evidence}
        by_policy = said.startswith(LETS_OUT) and len(policies) == 1 and all(policies)
        return f": {said}" + (f", as the outbound traffic policy {policies.pop()} allows" if by_policy else "")
    if said and cause.code in _NAMES_SENDER:
        return f": {said} ({cause.code})"
    reasons = list(dict.fromkeys(_first_part(probe.cause.message) for probe in group if probe.cause))
    which = ", the first" if len(reasons) > 1 else ""
    return (f": {said}{which or ','} because" if said else f"{which}:") + f" {reasons[0]} ({cause.code})"


def _first_part(message: str) -> str:
    return message.split("; ", 1)[0]


def _them(group: Sequence[ProbeResult]) -> str:
    return "it" if len(group) == 1 else "them"


def _sender(group: Sequence[ProbeResult]) -> str:
    """Say who sent these probes to where they went, as the evidence has it; empty where it shows nobody."""
    entries: dict[str, None] = {}
    others: dict[str, None] = {}
    for probe in group:
        evidence = probe.evidence
        if evidence is None or evidence.walk is None or evidence.capture is not Capture.CAPTURED:
            continue
        owner, name = evidence.owner, evidence.walk.envoy_cluster
        entry = (owner.entry if owner.ownership is Ownership.OWNED else owner.rival) if owner else None
        if entry is not None:
            entries[str(entry)] = None
        elif probe.verdict is Verdict.OPEN and probe.probe.expect.via:
            others[f"{probe.probe.expect.via}, as expected,"] = None
        elif name and probe.verdict is not Verdict.OPEN:
            others[name if name in LETS_OUT else f"Envoy cluster {name}"] = None
    nouns = []
    if entries:
        nouns.append(f"{'ServiceEntry' if len(entries) == 1 else 'ServiceEntries'} {first_names(list(entries), _MOST_NAMES)}")
    if others:
        nouns.append(first_names(list(others), _MOST_NAMES))
    return f"{' and '.join(nouns)} sent {_them(group)}" if nouns else ""


def _refusal(group: Sequence[ProbeResult]) -> str:
    walks = [probe.evidence.walk if probe.evidence else None for probe in group]
    if all(walk is not None and walk.envoy_cluster == BLACKHOLE for walk in walks):
        return f"the sidecar sent {_them(group)} to {BLACKHOLE}"
    return f"the sidecar refused {_them(group)}"


def _parts(target: TargetResult) -> str:
    """Say how many of a target's several entries the sidecar has, and name those that it has not."""
    seen = [part for part in target.parts if not part.action]
    if not seen:
        return ""
    if missing := target.parts_not_in_force:
        are = "is" if len(missing) == 1 else "are"
        shown = "in force" if any(part.in_force is False for part in missing) else "seen in force"
        names = first_names([part.name for part in missing], _MOST_NAMES)
        return f"; {len(missing)} of {len(seen)} ServiceEntries {are} not {shown} in the sidecar: {names}"
    entries = "its ServiceEntry is" if len(seen) == 1 else f"all {len(seen)} ServiceEntries are"
    addresses = sum(part.addresses for part in seen)
    return f"; {entries} in force in the sidecar, with {count_of(addresses, 'address', 'addresses')}"


def _unasked(target: TargetResult) -> str:
    if not target.unasked:
        return ""
    return f"; {count_of(len(target.unasked), 'host was', 'hosts were')} not asked"


def _done_to(target: TargetResult) -> str:
    """Say what was done to the entries of a target that no probe asked."""
    if not target.action:
        return "no probe was sent"
    names: Iterable[str] = [f"{target.namespace}/{name}" for name in target.service_entries]
    noun = "ServiceEntry" if len(target.service_entries) == 1 else "ServiceEntries"
    told = f"{noun} {first_names(list(names), _MOST_NAMES)} {target.action}"
    return f"{told}; not proved closed" if target.action == "deleted" else told
