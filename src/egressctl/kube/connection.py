"""What is made once of a configuration and shared by REST and exec: TLS, pool, proxy, headers; and why a connection fails."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egressctl.errors import CouldNotAsk, NoConfiguration, NotTrusted, Unauthorized, Unreachable
from egressctl.kube.official import load_official
from egressctl.kube.status import one_line

CONNECT_RETRIES = 3


class BrokenConnection(Unreachable):
    """The request was sent, and no whole answer came: it may or may not have been done."""


class ApiConnection:
    """One API server and one user: TLS context, connection pool, headers. REST and exec share it.

    `configuration` is the official client's, settled; its files of certificates are read here and not
    needed afterwards. `impersonation` are further headers. Raises NoConfiguration.
    """

    def __init__(self, configuration: Any, impersonation: tuple[tuple[str, str], ...] = ()) -> None:
        import urllib3  # imported late: 37 ms

        from egressctl.kube.http_deadline import POOLS

        rest = load_official("kubernetes.client.rest")
        server = urlsplit(configuration.host)
        self.base, self.host, self.server_name = configuration.host, server.hostname or "", configuration.tls_server_name or ""
        self.own_authority = bool(configuration.ssl_ca_cert)
        self.where = server.netloc
        token = configuration.api_key.get("BearerToken")
        # Like kubectl, no token over plain HTTP.
        self.headers = (("Authorization", token), *impersonation) if token and server.scheme == "https" else impersonation
        configuration.retries = urllib3.Retry(
            total=None, connect=CONNECT_RETRIES, read=0, redirect=0, status=0, other=0, backoff_factor=0.1, raise_on_status=False
        )
        if configuration.proxy and "://" not in configuration.proxy:
            configuration.proxy = f"http://{configuration.proxy}"
        unusable = NoConfiguration("only a proxy of the form http://HOST:PORT can be used (proxy-url, HTTPS_PROXY)")
        if configuration.proxy and not configuration.proxy.startswith("http://"):
            raise unusable
        try:
            self.pool = rest.RESTClientObject(configuration).pool_manager
            self.pool.pool_classes_by_scheme = POOLS
        except (urllib3.exceptions.HTTPError, ValueError):
            raise unusable from None
        if not configuration.verify_ssl:
            # Said once, in Api.warnings, rather than with every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.tls = _tls_context(configuration) if server.scheme == "https" else None
        for key in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
            self.pool.connection_pool_kw.pop(key, None)
        if self.tls:
            self.pool.connection_pool_kw["ssl_context"] = self.tls
        certificate = Path(configuration.cert_file).read_bytes() if self.tls and configuration.cert_file else b""
        self.identity = (self.headers, certificate)
        """What the API server knows us by."""
        self.proxy = getattr(self.pool, "proxy", None)

    @property
    def way(self) -> str:
        """Where requests go, for people: the server, and the proxy that they pass."""
        through = f" (through the proxy {self.proxy.host}:{self.proxy.port})" if self.proxy is not None else ""
        return f"{self.where}{through}"


def _tls_context(configuration: Any) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            # Without the empty answer OpenSSL would ask for a passphrase at the terminal.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password=lambda: "")
    except (ssl.SSLError, ValueError):
        raise NoConfiguration("the certificate authority, client certificate or key of the kubeconfig is no usable PEM") from None
    except OSError as error:
        raise NoConfiguration(
            f"{error.filename or 'a certificate'} cannot be read: {(error.strerror or 'failed').lower()}"
        ) from None
    # Python 3.13 asks for extensions that many Kubernetes authorities do not have, and that kubectl does not ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # urllib3 sets them for each connection again, and OpenSSL frees what another thread's connection is just made of: one in very
    # many then begins with garbage, which the server refuses.
    context.set_alpn_protocols(["http/1.1"])
    context.set_alpn_protocols = _leave_protocols  # type: ignore[method-assign]
    return context


def _leave_protocols(alpn_protocols: Iterable[str]) -> None:
    del alpn_protocols


def error_chain(error: BaseException) -> list[BaseException]:
    """Return an error and those inside it: urllib3 wraps the telling one several times."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo and len(found) < 20:
        one = todo.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            todo += [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
    return found


def network_failure(error: BaseException, connection: ApiConnection) -> CouldNotAsk:
    """Turn what a socket, ssl, urllib3 or websocket-client raised into one sentence; Broken where something was sent."""
    from urllib3 import exceptions  # imported late: 38 ms

    causes = error_chain(error)
    where = connection.way
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            whose = "the kubeconfig's certificate authority" if connection.own_authority else "this machine's authorities"
            return NotTrusted(
                f"the certificate of {where} is not trusted by {whose}: {one_line(cause.verify_message, 200)}",
                hint="check certificate-authority-data, tls-server-name and the server's URL in the kubeconfig",
            )
        if isinstance(cause, ssl.SSLError):
            reason = one_line((cause.reason or str(cause)).replace("_", " ").lower(), 120)
            # Under TLS 1.3 a client certificate is refused only after the handshake.
            if "alert" in reason and "certificate" in reason:
                hint = "check the client certificate of the kubeconfig's user: it may have expired"
                return Unauthorized(f"{where} refused the client certificate, or wants one: {reason}", hint=hint)
            # A connection that was kept, and that the other side closed when the next request was on its way.
            if not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                return Unreachable(
                    f"no TLS with the API server {where}: {reason}", hint="does the server's URL have the right port?"
                )
        if answered := re.search(r"(?:Tunnel connection failed: |via proxy status: )(\d{3})", str(cause)):
            hint = "check proxy-url of the kubeconfig, HTTPS_PROXY and NO_PROXY"
            return Unreachable(f"the proxy would not connect to {where}: it answered {answered[1]}", hint=hint)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        hint = "check the server's URL in the kubeconfig, and DNS"
        return Unreachable(f"the name of the API server {where} does not resolve", hint=hint)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        hint = "is it running? check --server and --context"
        return Unreachable(f"the API server {where} refuses connections", hint=hint)
    if any(isinstance(cause, exceptions.ConnectTimeoutError) for cause in causes):
        return Unreachable(
            f"the API server {where} accepts no connection in time", hint="check --server, the network and its firewalls"
        )
    if any(isinstance(cause, TimeoutError | exceptions.ReadTimeoutError) for cause in causes):
        return BrokenConnection(f"the API server {where} did not answer in time", hint="a longer --request-timeout may help")
    if any(isinstance(cause, exceptions.NewConnectionError) for cause in causes):
        return Unreachable(f"no connection to the API server {where}", hint="check --server, the network and its firewalls")
    return BrokenConnection(
        f"the connection to the API server {where} broke before its answer was complete", hint="try again later"
    )
