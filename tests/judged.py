"""What is made of a recording of a real sidecar: the evidence, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import recordings
from egressctl.envoy.config import Reading
from egressctl.envoy.counts import parse_clusters
from egressctl.envoy.dump import parse_config
from egressctl.manifests.service_entry import read_entry
from egressctl.model.entry import MeshObjects
from egressctl.model.evidence import Capture, CurlOutcome, ProbeSent, Source
from egressctl.model.probe import Probe
from egressctl.model.result import ProbeResult
from egressctl.verify.causes import Case
from egressctl.verify.evidence import Question, RunFacts, cases_of
from egressctl.verify.verdict import judge

SOURCE = Source("default", "sleep", "sleep", "istio-proxy")


def recorded(case: str) -> tuple[Case, ProbeResult]:
    """Judge what was recorded, for the target whose host is wikipedia.org."""
    recording = recordings.load(case)
    seen, truth = recording.probe, recording.truth
    # The recordings hold no times; the first object is the older.
    entries = tuple(
        replace(read_entry(manifest), created=f"2026-11-23T04:00:{index:02}Z")
        for index, manifest in enumerate(recording.manifests)
        if manifest["kind"] == "ServiceEntry"
    )
    entry = next((each for each in entries if "wikipedia.org" in each.hosts), entries[0] if len(entries) == 1 else None)
    outcome = CurlOutcome(
        seen["exitcode"], seen["errormsg"] or "", seen["http_code"], seen["remote_ip"], seen["remote_port"],
        seen["local_ip"], seen["local_port"],
        seconds={"connect": seen["time_connect"], "tls": seen["time_appconnect"], "total": seen["time_total"]},
    )  # fmt: skip
    sent = ProbeSent(outcome, Capture.NOT_CAPTURED if case == "not-captured" else Capture.CAPTURED, (0, outcome.local_port))
    config = parse_config(recording.config_dump) if recording.config_dump else None
    before = Reading(config, parse_clusters(recording.clusters_before))
    after = Reading(config, parse_clusters(recording.clusters))
    question = Question(Probe("recorded", truth["probe"]), entry.name if entry else "wikipedia-ext", entry)
    sidecars = tuple(manifest for manifest in recording.manifests if manifest["kind"] == "Sidecar")
    routes = tuple(manifest for manifest in recording.manifests if manifest["kind"] == "VirtualService")
    around = MeshObjects(entries=entries, sidecars=sidecars, virtual_services=routes, default_export_to=("*",))
    [found] = cases_of(RunFacts(SOURCE, [question], [sent], before, after, near=entries, around=around))
    return found, judge(found)
