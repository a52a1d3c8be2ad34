"""What the program that starts the endpoint passes to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Container:
    """A container that a command is to be run in.

    `sidecar` says that it is the pod's istio-proxy, `injected` that the pod has one.
    """

    namespace: str
    pod: str
    name: str
    sidecar: bool
    injected: bool


@dataclass(frozen=True, slots=True)
class EnterPlan:
    """How to run a command in a container: put `prefix` before its argv, and give it `env` and nothing else."""

    prefix: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where and for whom to serve.

    `port` 0 takes any free one. `certificate` and `key` are PEM files. `enter` answers None where
    the lab has no such place, and `log` where a container's log is in no file, which is then an empty one. `annotations` are
    those of the pod that is there from the start.
    """

    host: str
    port: int
    token: str
    certificate: Path
    key: Path
    enter: Callable[[Container], EnterPlan | None]
    annotations: Mapping[str, str] = field(default_factory=dict)
    log: Callable[[Container], Path | None] = lambda _: None
    ipv6: bool = False
    """Whether pods have an address of IPv6 as well."""
