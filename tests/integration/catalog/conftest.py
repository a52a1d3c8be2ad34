"""One provider of lists for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import publisher as publishers
from publisher import Publisher

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(scope="session")
def running_publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    with publishers.publisher(tmp_path_factory.mktemp("publisher")) as running:
        yield running


@pytest.fixture
def publisher(running_publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A provider that publishes nothing yet; this process trusts it, and goes through no proxy."""
    running_publisher.server.answers.clear()
    running_publisher.server.asked.clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(running_publisher.authority))
    for name in (*_PROXIES, *(name.lower() for name in _PROXIES)):
        monkeypatch.delenv(name, raising=False)
    return running_publisher
