"""Who to talk to, and as whom, by kubectl's rules: kubeconfig files, flags, or the pod that we run in.

The official client loads one context that is made for it here: its own merging lets the last
current-context win, ignores `as:`, and swallows what credential plugins say.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egressctl.errors import NoConfiguration
from egressctl.kube.connection import ApiConnection
from egressctl.kube.kubeconfig import (
    NO_CLUSTER_HINT,
    ConnectOptions,
    impersonation,
    kubeconfig_files,
    merge_kubeconfigs,
    read_kubeconfig,
    resolve_context,
)
from egressctl.kube.official import load_official
from egressctl.kube.rest import Api
from egressctl.kube.status import one_line
from egressctl.model.blocks import parse_address
from egressctl.model.json_values import mapping_at
from egressctl.runtime.bounded_read import read_bounded
from egressctl.runtime.concurrency import call_within

__all__ = ["ConnectOptions", "connect"]

MEMORY = Path("/dev/shm")  # noqa: S108
_MOST_OF_CREDENTIALS = 1 << 20
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def connect(options: ConnectOptions) -> Api:
    """Prepare to talk to the API server that the options lead to; nothing is sent yet.

    Runs the kubeconfig's credential plugin where there is one. Raises NoConfiguration, and
    InvalidInput for flags that contradict each other.
    """
    paths = kubeconfig_files(options.kubeconfig, os.environ)
    merged = merge_kubeconfigs([(path, read_kubeconfig(path, options.patience)) for path in paths])
    if not any(merged.values()) and not options.server:
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not paths:
            return _connect_in_cluster(options)
        what = f"{paths[0]} is empty" if paths else "there is no kubeconfig, neither in KUBECONFIG nor in ~/.kube/config"
        raise NoConfiguration(what, hint=NO_CLUSTER_HINT)
    context, cluster, user = resolve_context(merged, options)
    headers = impersonation(user, options)

    def load() -> ApiConnection:
        with _folder_for_keys() as folder:
            return ApiConnection(_configuration(cluster, user, folder, options.patience), headers)

    warnings = []
    if cluster.get("insecure-skip-tls-verify"):
        warnings.append(
            f"the certificate of {urlsplit(cluster['server']).netloc} is not checked: insecure-skip-tls-verify is set"
        )
    return _api(load, options, context, bool({"exec", "tokenFile", "auth-provider"} & user.keys()), warnings)


@contextlib.contextmanager
def _folder_for_keys() -> Iterator[str]:
    """Make a folder for certificates and keys, which Python's TLS reads from files only; it is gone as soon as they are read.

    In memory where there is such a place: there no disk keeps them, and pods have it whose root is read-only.
    """
    memory = str(MEMORY) if os.access(MEMORY, os.W_OK | os.X_OK) else None
    try:
        folder = tempfile.TemporaryDirectory(prefix="egressctl-", dir=memory)
    except OSError:
        raise NoConfiguration(
            "there is no folder for certificates that could be written to, neither in memory nor on a disk",
            hint="set TMPDIR to a folder that can be written to; in a pod, mount an emptyDir at /tmp",
        ) from None
    with folder as path:
        yield path


def _api(
    load: Callable[[], ApiConnection],
    options: ConnectOptions,
    context: Mapping[str, str],
    renewable: bool,
    warnings: Sequence[str] = (),
) -> Api:
    return Api(
        load,
        renewable=renewable,
        context=context["name"],
        namespace=context["namespace"],
        user_agent=options.user_agent,
        request_timeout=options.request_timeout,
        warnings=warnings,
    )


def _configuration(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: str, seconds: float) -> Any:
    """Return the official client's Configuration for this cluster and user, with nothing left that could revert it."""
    credentials = {key: value for key, value in user.items() if key != "exec"}
    if "exec" in user and "token" not in user and "tokenFile" not in user:
        from egressctl.kube.credential_plugin import run_credential_plugin  # imported late: 9 ms

        credentials |= run_credential_plugin(user, cluster, seconds)
    whose = f"the credentials of user {one_line(user['name'], 80)!r}" if user["name"] else "the kubeconfig"
    configuration = _new_configuration()
    try:
        (_set_from_auth_provider if "auth-provider" in credentials else _set_credentials)(
            configuration, cluster, credentials, folder, seconds
        )
    except OSError as error:
        file = f" ({error.filename})" if error.filename else ""
        raise NoConfiguration(f"{whose} cannot be read{file}: {(error.strerror or 'failed').lower()}") from None
    except ValueError:
        raise NoConfiguration(f"{whose} or the cluster's certificate-authority-data is not valid base64") from None
    if "proxy-url" in cluster:
        configuration.no_proxy = None  # kubectl heeds NO_PROXY for the environment's proxies only
    elif _is_loopback(urlsplit(cluster["server"]).hostname or ""):
        configuration.proxy = None
    return _with_checked_token(configuration, whose)


def _new_configuration() -> Any:
    # The class is its own factory, and would hand out a copy of a default that somebody else may have set.
    return type.__call__(load_official("kubernetes.client.configuration").Configuration)


def _set_credentials(
    configuration: Any, cluster: Mapping[str, Any], user: Mapping[str, Any], folder: str, seconds: float
) -> None:
    """Set what needs no provider: token, client certificate, user and password, and where the API server is."""
    configuration.host = cluster["server"]
    configuration.verify_ssl = not cluster.get("insecure-skip-tls-verify")
    configuration.tls_server_name = cluster.get("tls-server-name")
    configuration.proxy = cluster.get("proxy-url") or configuration.proxy
    for attribute, fields, key in (
        ("ssl_ca_cert", cluster, "certificate-authority"),
        ("cert_file", user, "client-certificate"),
        ("key_file", user, "client-key"),
    ):
        if fields.get(f"{key}-data"):
            content = binascii.a2b_base64(fields[f"{key}-data"].encode())
        elif fields.get(key):
            content = read_bounded(Path(fields[key]), _MOST_OF_CREDENTIALS, seconds)
        else:
            continue
        file = Path(folder) / key
        file.touch(0o600)
        file.write_bytes(content)
        setattr(configuration, attribute, str(file))
    token = user.get("token") or ""
    if not token and user.get("tokenFile"):
        token = read_bounded(Path(user["tokenFile"]), _MOST_OF_CREDENTIALS, seconds).decode("utf-8", "replace")
    if token:
        configuration.api_key["BearerToken"] = f"Bearer {token}"
    elif "username" in user and "password" in user:
        pair = f"{user['username']}:{user['password']}".encode()
        configuration.api_key["BearerToken"] = f"Basic {binascii.b2a_base64(pair, newline=False).decode()}"


def _set_from_auth_provider(
    configuration: Any, cluster: Mapping[str, Any], user: Mapping[str, Any], folder: str, seconds: float
) -> None:
    """Let the official client ask an auth-provider (OpenID Connect), and set all the rest as well."""
    provider = one_line(str(mapping_at(user["auth-provider"]).get("name", "")), 40)
    try:
        official = load_official("kubernetes.config.kube_config")
    except ModuleNotFoundError as error:  # the single file leaves out what only this needs
        raise NoConfiguration(
            f"the auth-provider {provider!r} needs the Python package {error.name}, which is not here",
            hint="log in with a credential plugin (`exec`) instead, or install egressctl as a Python package",
        ) from None
    one = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": dict(cluster)}],
        "users": [{"name": "it", "user": dict(user)}],
    }
    try:
        loader = official.KubeConfigLoader(config_dict=one, config_base_path="", temp_file_path=folder)
        call_within(seconds, partial(loader.load_and_set, configuration))
    except Exception as error:  # auth-providers raise whatever their libraries do
        hint = "log in again with kubectl, which renews it; gcp and azure need their credential plugins"
        raise NoConfiguration(f"the auth-provider {provider!r} gave no credentials ({type(error).__name__})", hint=hint) from None


def _is_loopback(host: str) -> bool:
    address = parse_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _with_checked_token(configuration: Any, whose: str) -> Any:
    # With the hook in place, each look at the token would set host, CA, proxy and certificates again.
    configuration.refresh_api_key_hook = None
    token = configuration.api_key.get("BearerToken", "").strip()
    if not token.isascii() or not token.isprintable():
        raise NoConfiguration(f"{whose} hold a token with characters that no token has")
    configuration.api_key["BearerToken"] = token
    return configuration


def _connect_in_cluster(options: ConnectOptions) -> Api:
    official = load_official("kubernetes.config.incluster_config")
    headers = impersonation({}, options)

    def load() -> ApiConnection:
        configuration = _new_configuration()
        try:
            official.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
        except (official.ConfigException, OSError) as error:
            told = one_line(str(error), 200)
            raise NoConfiguration(f"this pod's service account cannot be used: {told}", hint=NO_CLUSTER_HINT) from None
        if options.token:
            configuration.api_key["BearerToken"] = f"Bearer {options.token}"
        return ApiConnection(_with_checked_token(configuration, "the service account's credentials"), headers)

    try:
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (OSError, ValueError):
        namespace = ""
    return _api(load, options, {"name": "in-cluster", "namespace": namespace or "default"}, not options.token)
