"""What pod, sidecar and internet find on disk when they start."""

from __future__ import annotations

import json
from collections.abc import Mapping

from egressctl.lab.dataplane.bootstrap import bootstrap
from egressctl.lab.dataplane.envoy_config import SidecarConfig
from egressctl.lab.dataplane.names import POD, POD_ADDRESS
from egressctl.lab.dataplane.nsenter import PILOT_AGENT
from egressctl.lab.dataplane.xds import write_first_version
from egressctl.lab.state import Paths, write_private


def write_pod_files(paths: Paths, first: SidecarConfig, names: Mapping[str, str]) -> None:
    """Write the pod's /etc, its sidecar's bootstrap and first configuration, and `pilot-agent`; `names` are name -> address."""
    paths.etc.mkdir()
    hosts = {"localhost": "127.0.0.1", POD: POD_ADDRESS, **names}
    (paths.etc / "hosts").write_text("".join(f"{address}\t{name}\n" for name, address in hosts.items()))
    (paths.etc / "resolv.conf").write_text("# The lab has no DNS server: its names are in /etc/hosts.\nnameserver 127.0.0.1\n")
    # Without this, a resolver daemon of the machine could answer for the pod.
    (paths.etc / "nsswitch.conf").write_text("hosts: files dns\n")
    paths.programs.mkdir()
    write_private(paths.programs / "pilot-agent", PILOT_AGENT, mode=0o700)
    write_first_version(paths.clusters, paths.listeners, paths.routes, first)
    config = bootstrap(
        clusters_file=str(paths.clusters), listeners_file=str(paths.listeners), admin_socket=str(paths.admin_socket)
    )
    (paths.folder / "bootstrap.json").write_text(json.dumps(config))
