"""Which names a host of Istio's objects stands for, perhaps a wildcard: `pkg/config/host/name.go` of istio/istio. Pure."""

from __future__ import annotations


def covers_host(wide: str, host: str, *, case: bool = False) -> bool:
    """Say whether a host, perhaps a wildcard, names everything that another names (`host.Name.SubsetOf`).

    DNS does not distinguish capitals from small letters; istiod does where it compares hosts of its own objects (`case`).
    """
    if not case:
        wide, host = wide.lower(), host.lower()
    return host.removeprefix("*").endswith(wide[1:]) if wide.startswith("*") else wide == host


def hosts_overlap(one: str, other: str, *, case: bool = False) -> bool:
    """Say whether two hosts have a name in common (`host.Name.Matches`)."""
    return covers_host(one, other, case=case) or covers_host(other, one, case=case)
