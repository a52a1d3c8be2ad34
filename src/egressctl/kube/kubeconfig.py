"""Kubeconfig files by kubectl's rules: read, merged, and followed from a context to a server and a user.

Messages name file, line and field, never a value that could be a secret.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from egressctl.errors import InvalidInput, NoConfiguration
from egressctl.kube.shapes import fault_in
from egressctl.kube.status import one_line
from egressctl.model.json_values import mapping_at
from egressctl.runtime.bounded_read import read_bounded
from egressctl.runtime.sentence import first_names

NO_CLUSTER_HINT = (
    "give --kubeconfig FILE; without a Kubernetes cluster, `egressctl demo` shows it all and --lab uses the local lab"
)
READ_SECONDS = 30.0
MAX_BYTES = 4 << 20
MAX_DEPTH = 50
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PATHS = {"certificate-authority", "client-certificate", "client-key", "tokenFile"}
_SHAPES = {
    "exec": {
        "!command": str,
        "apiVersion": str,
        "args": [str],
        "env": [{"!name": str, "value": str}],
        "installHint": str,
        "interactiveMode": str,
        "provideClusterInfo": bool,
    },
    "auth-provider": {"!name": str, "config": {str: str}},
    "as-groups": [str],
    "as-user-extra": {str: [str]},
    "extensions": [{"name": str}],
}
_WINS_OVER = {"tokenFile": "token"} | {f"{name}-data": name for name in _PATHS - {"tokenFile"}}


@dataclass(frozen=True)
class ConnectOptions:
    """kubectl's options of connection. Empty values are not given; `request_timeout` is seconds, 0 for no limit."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    server: str | None = None
    token: str | None = field(default=None, repr=False)
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    request_timeout: float = READ_SECONDS
    user_agent: str = "egressctl"

    @property
    def patience(self) -> float:
        """How many seconds what gives the credentials has: a request's, where that has a limit."""
        return self.request_timeout if self.request_timeout > 0 else READ_SECONDS


def _check_depth(content: bytes) -> None:
    # libyaml's binding builds nested values by recursion in C, and takes the process down with it.
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise RecursionError


def read_kubeconfig(path: Path, seconds: float = READ_SECONDS) -> Mapping[str, Any]:
    try:
        content = read_bounded(path, MAX_BYTES, seconds)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise NoConfiguration(f"{path} is larger than {MAX_BYTES >> 20} MiB: it is no kubeconfig") from None
        why = (error.strerror or type(error).__name__).lower()
        raise NoConfiguration(f"the kubeconfig {path} cannot be read: {why}", hint=NO_CLUSTER_HINT) from None
    try:
        _check_depth(content)
        document = yaml.load(content, Loader=_Loader)  # noqa: S506  # a safe loader, in C where there is one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The parser's own words can quote the line, and the line can hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise NoConfiguration(f"{path}{where}: not valid YAML", hint="correct it, or choose another with --kubeconfig") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise NoConfiguration(f"{path} is no kubeconfig: it is not a mapping of kind Config")
    return document


def kubeconfig_files(flag: str | None, environment: Mapping[str, str]) -> list[Path]:
    """Return the kubeconfigs that count: the flag's, else those of KUBECONFIG that are there, else ~/.kube/config if it is."""
    if flag:
        return [Path(flag).expanduser()]
    named = [Path(part).expanduser() for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        # Of several, those that are missing do not matter, as under kubectl.
        return [path for path in named if path.exists()] or named[:1]
    default = Path.home() / ".kube" / "config"
    return [default] if default.exists() else []


def merge_kubeconfigs(documents: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, Any]:
    """Merge kubeconfigs as kubectl does: of every name, and of current-context, the first one counts.

    Gives `current-context` and, by name, `context`, `cluster` and `user`; relative paths are made
    absolute from the folder of the file that they stand in.
    """
    merged: dict[str, Any] = {"current-context": "", "context": {}, "cluster": {}, "user": {}}
    for path, document in documents:
        current = document.get("current-context") or ""
        if not isinstance(current, str):
            raise NoConfiguration(f"{path}: current-context must be a string: put it in quotes")
        merged["current-context"] = merged["current-context"] or current
        for kind in ("context", "cluster", "user"):
            items = document.get(f"{kind}s") or []
            for index, item in enumerate(items if isinstance(items, list) else [None]):
                where = f"{path}: {kind}s[{index}]"
                if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                    raise NoConfiguration(f"{where} must be a mapping with a name, in a list")
                body = item.get(kind) or {}
                if not isinstance(body, dict):
                    raise NoConfiguration(f"{where}.{kind} must be a mapping")
                merged[kind].setdefault(item["name"], _clean_section(body, path.absolute().parent, f"{where}.{kind}"))
    return merged


def _clean_section(body: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    kept = {key: value for key, value in body.items() if value not in (None, "", [])}
    for key, value in kept.items():
        wanted = {"insecure-skip-tls-verify": bool, "as-groups": list, "as-user-extra": dict, "extensions": list}.get(key)
        wanted = dict if key in ("exec", "auth-provider") else wanted or (bool if key == "disable-compression" else str)
        if not isinstance(value, wanted):
            kind = {bool: "true or false", list: "a list", dict: "a mapping", str: "a string: put it in quotes"}[wanted]
            raise NoConfiguration(f"{where}.{key} must be {kind}")
        if fault := fault_in(value, _SHAPES.get(key, object), f"{where}.{key}"):
            raise NoConfiguration(fault)
    for winner, loser in _WINS_OVER.items():
        if winner in kept:
            kept.pop(loser, None)
    for key in _PATHS & kept.keys():
        kept[key] = str(folder / kept[key])
    plugin = kept.get("exec", {}).get("command")
    if isinstance(plugin, str) and os.sep in plugin:
        kept["exec"] = {**kept["exec"], "command": str(folder / plugin)}
    return kept


def resolve_context(merged: Mapping[str, Any], options: ConnectOptions) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """Return the context (`name`, `namespace`), the cluster and the user that the flags lead to; raise NoConfiguration."""
    name = options.context or merged["current-context"]
    if not name and not options.server and not options.cluster:
        known = _existing_names(merged["context"])
        raise NoConfiguration(
            f"the kubeconfig has no current context; {known}",
            hint="choose one: --context NAME, or kubectl config use-context NAME",
        )
    chosen = _find_entry(merged, "context", name) if name else {}
    cluster_name, user_name = options.cluster or chosen.get("cluster"), options.user or chosen.get("user")
    cluster = dict(_find_entry(merged, "cluster", cluster_name)) if cluster_name else {}
    # kubectl lets a context name a user that is not there, and is anonymous; we would rather say so.
    user = dict(_find_entry(merged, "user", user_name)) if user_name else {}
    user["name"] = user_name or ""
    if options.server:
        cluster["server"] = options.server
    cluster["server"] = _server_url(
        cluster.get("server", ""), "--server" if options.server else f"the server of cluster {cluster_name!r}"
    )
    if options.token:
        # A client certificate, where sent too, would win over the token at the API server.
        user = {"name": user["name"], "token": options.token} | {key: user[key] for key in user if key.startswith("as")}
    return {"name": name, "namespace": chosen.get("namespace", "default")}, cluster, user


def _existing_names(entries: Mapping[str, Any]) -> str:
    names = [one_line(name, 80) for name in sorted(entries)]
    return f"there are: {first_names(names, 10)}" if names else "there is none at all"


def _find_entry(merged: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    if name not in merged[kind]:
        raise NoConfiguration(
            f"the kubeconfig has no {kind} {one_line(name, 80)!r}; {_existing_names(merged[kind])}",
            hint=f"choose one with --{kind} NAME",
        )
    return mapping_at(merged[kind][name])


def _server_url(url: str, origin: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in url or "@" in url:
        raise NoConfiguration(f"{origin} must be a URL such as https://HOST:PORT")
    return url.rstrip("/")


def impersonation(user: Mapping[str, Any], options: ConnectOptions) -> tuple[tuple[str, str], ...]:
    """Return the headers that impersonate: the flags' where given, else the kubeconfig's, which the official client ignores."""
    if options.as_user or options.as_groups:
        user = {"as": options.as_user, "as-groups": options.as_groups}
    headers = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    headers += [("Impersonate-Group", group) for group in user.get("as-groups", ())]
    for key, values in user.get("as-user-extra", {}).items():
        name = f"Impersonate-Extra-{quote(str(key).lower(), safe='')}"
        headers += [(name, value) for value in (values if isinstance(values, list) else [values])]
    given = tuple((name, str(value)) for name, value in headers if value)
    if given and not user.get("as"):
        raise InvalidInput("impersonating a group needs a user to impersonate as well", hint="add --as USER")
    if not all(value.isprintable() for _, value in given):
        raise InvalidInput("the name of a user or group to impersonate holds a control character")
    return given
