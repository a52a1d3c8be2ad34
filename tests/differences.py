"""Where the places that tests run in differ on purpose, and why: the table in the docs is this one.

A test of `tests/integration/cli/commands` runs in all three: against the lab's Kubernetes endpoint, against a real one, and with
a real istiod in place of the lab's feeder. One that cannot is marked `@pytest.mark.only(KEY)`, and runs where its difference
says; elsewhere it is skipped, and the reason printed. No test differs without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["lab", "kubernetes", "istiod"]
PLACES: dict[Place, str] = {"lab": "the lab's endpoint", "kubernetes": "a real kube-apiserver", "istiod": "a real istiod"}


@dataclass(frozen=True)
class Difference:
    """`only` are the places that the tests of this difference run in."""

    only: tuple[Place, ...]
    what: str
    why: str


DIFFERENCES: dict[str, Difference] = {
    "no-scheduler": Difference(
        ("lab",),
        "A pod outside namespace default stays Pending, and its condition says why.",
        "No scheduler runs with the real API server: nobody writes the condition.",
    ),
    "logs": Difference(
        ("lab", "istiod"),
        "The container istio-proxy has a log: Envoy's access log.",
        "KWOK's nodes have none but where an istiod has the sidecar write one in a container's format.",
    ),
    "mistaken-query": Difference(
        ("lab",),
        "A selector or a continue token that cannot be read is refused (400) in words of its own.",
        "Kubernetes' words come from the inside of its parsers.",
    ),
    "orders": Difference(
        ("lab", "kubernetes"),
        "`lab policy`, `lab stall` and `lab resume` are answered by the lab.",
        "An istiod takes its policy from the mesh's settings, and nobody can make it hang.",
    ),
}
