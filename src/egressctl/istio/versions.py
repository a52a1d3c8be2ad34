"""What changed about egress from one release of Istio to the next, as far as it matters to a proof or a cause. Pure: data."""

from __future__ import annotations

import re
from typing import NamedTuple

Version = tuple[int, int]


class EgressChange(NamedTuple):
    """What a release brought, half a sentence."""

    since: Version
    what: str


EGRESS_CHANGES = (
    EgressChange((1, 28), "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX may give entries addresses outside 240.240.0.0/16"),
    EgressChange((1, 30), "with resolution DYNAMIC_DNS sidecars resolve the names that clients ask for"),
    EgressChange((1, 31), "the policy ALLOW_ANY_DYNAMIC_DNS lets out plain HTTP by AllowAnyDynamicDNSCluster"),
    EgressChange((1, 31), "serviceEntryVisibility may show an entry to fewer than its exportTo says"),
    EgressChange((1, 31), "a Sidecar resource may exclude hosts (~NAMESPACE/HOST)"),
)
"""From the release notes of Istio, by the release."""


def parse_version(text: str) -> Version | None:
    """Read major and minor version of `1.31.0`, `1.31-alpha.8b6b` or `pilot:1.31.0-distroless`; None where there is none."""
    found = re.search(r"(?:^|[:v-])([0-9]{1,3})\.([0-9]{1,3})(?:[.+-]|$)", text)
    return (int(found[1]), int(found[2])) if found else None


def changes_until(version: Version) -> tuple[str, ...]:
    """Return what an Istio of that version has of EGRESS_CHANGES."""
    return tuple(each.what for each in EGRESS_CHANGES if each.since <= version)
