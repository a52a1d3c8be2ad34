"""How a command gets into the lab: argv to put in front of it, and the environment it finds there."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple

from egressctl.lab.dataplane.names import ADMIN_PORT
from egressctl.lab.state import Paths

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PILOT_AGENT = f"""#!/bin/sh
# The one command of Istio's pilot-agent that the lab has: pilot-agent request METHOD PATH
if [ "$1" != request ] || [ $# -ne 3 ]; then
  echo "Error: the lab's pilot-agent knows only: pilot-agent request METHOD PATH" >&2
  exit 255
fi
admin=http://127.0.0.1:{ADMIN_PORT}
{{ said=$(curl -q -sS -f -g --noproxy '*' -X "$2" "$admin/${{3#/}}" 2>&1 >&3); }} 3>&1
case $? in
  0) exit 0 ;;
  22) echo "Error: received unsuccessful status code ${{said##*error: }}" >&2 ;;
  *) echo "Error: command error output: the sidecar's admin interface does not answer" >&2 ;;
esac
exit 255
"""


class Entrance(NamedTuple):
    """`prefix` goes in front of the command's argv; `env` is the whole environment of the command."""

    prefix: tuple[str, ...]
    env: dict[str, str]


def entrance(paths: Paths, pid: int, *, sidecar: bool = False) -> Entrance:
    """Return the way into the namespaces of the process `pid` (as the machine counts).

    Entering the pid namespace as well ties what runs there to the life of the lab.
    """
    nsenter = shutil.which("nsenter") or "nsenter"
    namespaces = ("--user", "--preserve-credentials", "--net", "--mount", "--pid")
    path = f"{paths.programs}:{_path()}" if sidecar else _path()
    env = {
        "PATH": path,
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "CURL_CA_BUNDLE": str(paths.authority),
        "SSL_CERT_FILE": str(paths.authority),
    }
    return Entrance((nsenter, "-t", str(pid), *namespaces, "--"), env)


def _path() -> str:
    """The usual folders, and in front of them the one that holds curl where it is another."""
    curl = os.path.dirname(shutil.which("curl") or "")
    return _PATH if not curl or curl in _PATH.split(":") else f"{curl}:{_PATH}"
