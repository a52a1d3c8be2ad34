"""Where the lab's Kubernetes endpoint and a real one differ on purpose, and why: the table in the docs is this one.

A test of `tests/integration/cli/commands` runs against both. One that cannot is marked `@pytest.mark.only(KEY)`, and runs against
the one endpoint that its difference names; no test differs without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Endpoint = Literal["lab", "kubernetes", "istiod"]


@dataclass(frozen=True)
class Difference:
    """`only` is the endpoint that the tests of this difference run against."""

    only: Endpoint
    what: str
    why: str


DIFFERENCES: dict[str, Difference] = {
    "no-scheduler": Difference(
        "lab",
        "A pod outside namespace default stays Pending, and its condition says why.",
        "No scheduler runs beside the real API server: nobody writes the condition.",
    ),
    "logs": Difference(
        "lab",
        "The container istio-proxy has a log: Envoy's access log.",
        "KWOK's nodes have none: a pod there has no process that writes one.",
    ),
    "mistaken-query": Difference(
        "lab",
        "A selector or a continue token that cannot be read is refused (400) in words of its own.",
        "Kubernetes' words come from the inside of its parsers.",
    ),
}
