"""Hosts that are names of Kubernetes Services."""

from __future__ import annotations

import pytest

from egressctl.lint.rule import LintedEntry, Place
from egressctl.lint.rules.kubernetes_service_host import check
from egressctl.model.entry import ServiceEntry


def paths(*hosts: str, location: str = "MESH_EXTERNAL") -> list[tuple[str | int, ...]]:
    entry = ServiceEntry("a", "shop", hosts, (), (), "NONE", location, ())
    return [path for _, _, path in check(LintedEntry(entry, Place.FILE))]


@pytest.mark.parametrize(
    "host", ["db.shop.svc.cluster.local", "db.shop.svc", "DB.shop.SVC.cluster.local.", "*.shop.svc.cluster.local"]
)
def test_the_name_of_a_service_is_told(host: str) -> None:
    assert paths("db.example.com", host) == [("spec", "hosts", 1)]


@pytest.mark.parametrize(
    "host", ["svc.example.com", "db.svc.example.com", "db.svc", "dbsvc", "cluster.local", "db.shop.svc.local"]
)
def test_another_name_is_not(host: str) -> None:
    assert paths(host) == []


def test_an_entry_within_the_mesh_may_name_one() -> None:
    assert paths("db.shop.svc.cluster.local", location="MESH_INTERNAL") == []
