"""Why a connection fails: one sentence for what a socket or TLS raised, and whether a request may have been carried out."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import Any, cast

import pytest
from urllib3.exceptions import ProtocolError

from egressctl.errors import Unreachable
from egressctl.kube.connection import BrokenConnection, _tls_context, network_failure

CONNECTION = cast("Any", SimpleNamespace(way="api.example:6443", own_authority=True))


def raised(kind: type[ssl.SSLError], words: str) -> ssl.SSLError:
    """Return what the ssl module raises, with the attribute that only it sets."""
    error = kind(1, words)
    error.reason = words
    return error


@pytest.mark.parametrize("kind", [ssl.SSLEOFError, ssl.SSLZeroReturnError])
def test_a_connection_that_the_other_side_ended_is_broken_and_asked_again(kind: type[ssl.SSLError]) -> None:
    """So ends one that was kept, where the server closes it while the next request is on its way."""
    failure = network_failure(ProtocolError("Connection aborted.", raised(kind, "connection has been closed")), CONNECTION)
    assert isinstance(failure, BrokenConnection)
    assert "broke before its answer was complete" in str(failure)


def test_what_speaks_no_tls_is_no_broken_connection() -> None:
    failure = network_failure(ProtocolError("Connection aborted.", raised(ssl.SSLError, "WRONG_VERSION_NUMBER")), CONNECTION)
    assert isinstance(failure, Unreachable)
    assert not isinstance(failure, BrokenConnection)
    assert str(failure).startswith("no TLS with the API server api.example:6443")


def test_the_protocols_that_a_handshake_offers_are_set_once_for_all_threads() -> None:
    """OpenSSL copies them without a lock while another thread's connection would set them anew."""
    tls = _tls_context(SimpleNamespace(ssl_ca_cert=None, cert_file=None, verify_ssl=True))
    tls.set_alpn_protocols(["h2"])
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        tls.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    assert b"\x08http/1.1" in outgoing.read()
