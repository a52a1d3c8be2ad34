"""Run a kubeconfig's credential plugin (`exec`): Kubernetes' client.authentication.k8s.io. It has a time and a size.

The official client waits for its end without limit, and takes whatever it prints.
"""

from __future__ import annotations

import binascii
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from egressctl.errors import NoConfiguration
from egressctl.kube.status import one_line
from egressctl.model.json_values import mapping_at, mappings_at, text_at, texts_at

LOGIN_SECONDS = 300.0
"""Seconds that a person at a terminal has to log in."""
_MOST = 1 << 20
_EXTENSION = "client.authentication.k8s.io/exec"


class _Failed(Exception):
    """It gave no credentials; the message says why, and may hold what it printed."""


def run_credential_plugin(user: Mapping[str, Any], cluster: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Run the plugin of a user, for `seconds` at most where nobody is at a terminal, and return its credentials as fields of one.

    Raises NoConfiguration.
    """
    plugin = mapping_at(user, "exec")
    command = text_at(plugin, "command")
    named = f"the credential plugin {one_line(Path(command).name, 80)} of user {one_line(user['name'], 80)!r}"
    hint = one_line(text_at(plugin, "installHint") or "log in again with the tool of your provider", 300)
    if not command or shutil.which(command) is None:
        raise NoConfiguration(f"{named} is not installed, or not executable", hint=hint)
    at_terminal = sys.stdin is not None and sys.stdin.isatty() and plugin.get("interactiveMode") != "Never"
    try:
        environment = {**os.environ, **_environment(plugin, cluster, interactive=at_terminal)}
        limit = LOGIN_SECONDS if at_terminal else seconds
        status = _status(
            _output([command, *texts_at(plugin, "args")], environment, limit, interactive=at_terminal),
            text_at(plugin, "apiVersion"),
        )
    except _Failed as failure:
        raise NoConfiguration(f"{named} failed: {_hide_secrets(str(failure))}", hint=hint) from None
    except (OSError, ValueError) as failure:  # also a name with a zero byte
        raise NoConfiguration(f"{named} could not be used ({type(failure).__name__})", hint=hint) from None
    token, certificate, key = (text_at(status, name) for name in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not (certificate and key):
        raise NoConfiguration(f"{named} gave neither a token nor a certificate with its key", hint=hint)
    fields = {"token": token.strip()} if token else {}
    if certificate and key:
        encoded = {"client-certificate-data": certificate, "client-key-data": key}
        fields |= {field: binascii.b2a_base64(pem.encode()).decode() for field, pem in encoded.items()}
    return fields


def _environment(plugin: Mapping[str, Any], cluster: Mapping[str, Any], *, interactive: bool) -> dict[str, str]:
    """Return what the plugin finds in its environment: what the kubeconfig says, and what is asked for."""
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.get("provideClusterInfo"):
        configs = [each.get("extension") for each in mappings_at(cluster, "extensions") if each.get("name") == _EXTENSION]
        spec["cluster"] = {**cluster, **({"config": configs[0]} if configs else {})}
    asked = {"apiVersion": text_at(plugin, "apiVersion"), "kind": "ExecCredential", "spec": spec}
    given = {text_at(each, "name"): text_at(each, "value") for each in mappings_at(plugin, "env")}
    return {**given, "KUBERNETES_EXEC_INFO": json.dumps(asked, default=str)}


def _output(argv: list[str], environment: Mapping[str, str], seconds: float, *, interactive: bool) -> bytes:
    """Run a program and return what it prints; nothing of it runs on. Raises _Failed, OSError and ValueError."""
    ends = time.monotonic() + seconds
    process = subprocess.Popen(
        argv,
        env=environment,
        stdin=None if interactive else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if interactive else subprocess.PIPE,
        start_new_session=not interactive,  # all that it starts is ended with it; at a terminal that would take it from there
    )
    try:
        printed, said = _read(process, ends)
        code = process.wait(max(0.0, ends - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise _Failed(f"it did not end within {seconds:g} s") from None
    finally:
        with suppress(OSError):
            process.kill() if interactive else os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    if code:
        text = said.decode("utf-8", "replace").strip()
        raise _Failed(f"process returned {code}" + (f". {text}" if text else ""))
    return printed


def _read(process: subprocess.Popen[bytes], ends: float) -> tuple[bytes, bytes]:
    outputs: dict[IO[bytes] | None, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe in outputs:
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, outputs[pipe])
        while selector.get_map():
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for ready, _ in selector.select(left):
                piece = os.read(ready.fd, 1 << 16)
                ready.data.extend(piece)
                if not piece:
                    selector.unregister(ready.fileobj)
                if len(ready.data) > _MOST:
                    raise _Failed(f"it printed more than {_MOST >> 20} MiB")
    return bytes(outputs[process.stdout]), bytes(outputs.get(process.stderr, b""))


def _status(printed: bytes, version: str) -> Mapping[str, Any]:
    try:
        credential = json.loads(printed)
    except (ValueError, RecursionError):
        raise _Failed("what it printed is no JSON") from None
    if not isinstance(credential, dict) or credential.get("kind") != "ExecCredential":
        raise _Failed("what it printed is no ExecCredential")
    if credential.get("apiVersion") != version:
        raise _Failed("what it printed has another apiVersion than the kubeconfig asks for")
    return mapping_at(credential, "status")


def _hide_secrets(text: str) -> str:
    """Cut out what could be a secret: long runs of letters and digits."""
    return re.sub(r"(?=[A-Za-z_=+.-]*\d)[A-Za-z0-9_=+.-]{20,}", "***", one_line(text, 300))
