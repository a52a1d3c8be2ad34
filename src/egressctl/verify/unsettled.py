"""Whether a result tells of a sidecar that has not come to rest: asked a little later, the same may show more. Pure.

Envoy's admin interface shows a change before each of its workers has it, and a control plane may be several changes behind: what
was read is not yet, or no longer, what a connection meets. Nothing here makes a verdict: what is asked again is judged anew.
"""

from __future__ import annotations

from egressctl.envoy.changes import CHANGED
from egressctl.envoy.config import BLACKHOLE, parse_outbound_name
from egressctl.mesh.curl import looks_reset
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import Walk
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult


def is_unsettled(result: ProbeResult) -> bool:
    """Say whether a result that is not as expected was met by a configuration that is changing.

    It changed during the probe; the answer came although nothing leads on, or was refused although something does; or what was
    in the sidecar has not come yet, or is of an earlier entry.
    """
    evidence, cause = result.evidence, result.cause
    if result.held or evidence is None or evidence.walk is None or cause is None:
        return False
    if evidence.walk.unknown:
        return evidence.walk.unknown == CHANGED
    if cause.code is CauseCode.NOT_PROPAGATED or (evidence.owner is not None and evidence.owner.outdated):
        return True
    return cause.code is CauseCode.EVIDENCE_LOST and _contradicts(result, evidence.walk)


def still_leads_on(result: ProbeResult) -> bool:
    """Say whether a probe of an entry that was removed went through an Envoy cluster of a ServiceEntry all the same."""
    walk = result.evidence.walk if result.evidence else None
    missing = result.cause is not None and result.cause.code is CauseCode.ENTRY_MISSING
    return not result.held and missing and walk is not None and parse_outbound_name(walk.envoy_cluster or "") is not None


def _contradicts(result: ProbeResult, walk: Walk) -> bool:
    outcome, leads_on = result.outcome, walk.envoy_cluster not in (None, BLACKHOLE)
    if outcome is None or walk.choices or walk.direct_status or walk.absent:
        return False
    if result.verdict is Verdict.UNPROVEN:
        return not leads_on and outcome.http_status > 0
    return leads_on and looks_reset(outcome)
