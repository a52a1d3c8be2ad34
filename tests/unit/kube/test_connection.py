"""Why a connection fails: one sentence for what a socket or TLS raised, and whether a request may have been carried out."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import Any, cast

import pytest
from urllib3.exceptions import ProtocolError

from egressctl.errors import Unreachable
from egressctl.kube.connection import BrokenConnection, network_failure

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
