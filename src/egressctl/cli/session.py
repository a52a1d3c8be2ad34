"""What every command does around its use case: connect at the first use, and end with outputs, warnings and an exit code."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from egressctl import __version__
from egressctl.cli import outputs
from egressctl.cli.console import TerminalProgress
from egressctl.cli.options import ConnectionFlags, OutputFlags
from egressctl.report.lines import Content

if TYPE_CHECKING:
    from egressctl.mesh.client import Mesh


@dataclass
class Session:
    """One command's run: made at its start, which refuses outputs that cannot be, and ended by its exit code."""

    command: str
    connection: ConnectionFlags
    output: OutputFlags
    formats: Sequence[str] = OutputFlags.FORMATS
    """What `-o` may ask this command for."""
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))

    def __post_init__(self) -> None:
        self.output.check(self.formats)
        outputs.refuse_unwritable(self.output.files)
        self.progress = TerminalProgress(quiet=self.output.quiet, results=self.output.shown == "table")

    @cached_property
    def mesh(self) -> Mesh:
        """Connect at the first use. Raises what kube.config.connect raises, and LabFailed for --lab."""
        kubeconfig = self.connection.kubeconfig
        if self.connection.lab:
            from egressctl.lab import control  # imported late: 10 ms

            name = os.environ.get("EGRESSCTL_LAB_NAME", "default")
            if control.status(name) is None:
                self.progress.step("starting the local lab")
            kubeconfig = str(control.up(name).kubeconfig)
        return connect_mesh(self.connection, kubeconfig, f"egressctl/{__version__} (run {self.run_id})")

    @property
    def connected(self) -> Mesh | None:
        """The mesh if it was asked for anything, else None."""
        return self.__dict__.get("mesh")

    @property
    def namespace(self) -> str:
        """The namespace of the flags, else the context's, else `default`."""
        return self.connection.namespace or self.mesh.api.namespace or "default"

    def warn(self, warnings: Iterable[str] = ()) -> None:
        """Take the progress away, and print the API server's warnings and these."""
        self.progress.stop()
        for warning in (*(self.connected.api.warnings if self.connected else ()), *warnings):
            self.progress.warn(warning)

    def end(self, content: Callable[[str, int], Content], code: int = 0, warnings: Iterable[str] = ()) -> int:
        """Print warnings, write the outputs that go to files, print the one that is shown, and return the exit code.

        `content` returns what an output says, given its format and the exit code.
        """
        self.warn(warnings)
        code = self.publish(content, code)
        self.progress.print(content(self.output.shown, code))
        return code

    def publish(self, content: Callable[[str, int], Content], code: int) -> int:
        """Write the outputs that go to files, and return the exit code that comes of it."""
        return outputs.publish(self.output.files, content, code)


def connect_mesh(flags: ConnectionFlags, kubeconfig: str, user_agent: str) -> Mesh:
    """Return the mesh that the flags lead to; nothing is sent yet. Raises what kube.config.connect raises."""
    from egressctl.kube.config import ConnectOptions, connect  # imported late: 39 ms
    from egressctl.mesh.client import Mesh

    options = ConnectOptions(
        kubeconfig=kubeconfig,
        context=flags.context,
        cluster=flags.cluster,
        user=flags.user,
        server=flags.server,
        token=flags.token,
        as_user=flags.as_user,
        as_groups=tuple(flags.as_groups),
        request_timeout=flags.request_timeout,
        user_agent=user_agent,
    )
    return Mesh(connect(options))
