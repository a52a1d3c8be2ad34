"""Watch Istio's objects on a Kubernetes cluster, any that a kubeconfig leads to."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.objects import PLURALS
from egressctl.model.entry import API_VERSIONS, GROUP, Manifest

log = logging.getLogger(__name__)

REQUIRED = "serviceentries"
"""The kind without which there is no mesh."""

FIRST_DELAY, LONGEST_DELAY = 0.02, 5.0
STEADY_SECONDS = 1.0
"""A connection that lasted longer was a good one: the next failure is the first again."""
WATCH_SECONDS = 300
_LONGEST_EVENT = 16 * 1024 * 1024
_NOT_FOUND, _GONE = 404, 410

OnChange = Callable[[str, Iterable[Manifest]], None]
"""Called with a kind's plural and all its objects."""


_UNUSABLE = (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, AttributeError)
"""No answer, or one that is not of the Kubernetes API's shape."""


class _VersionExpired(Exception):
    """The API server no longer knows the resource version: list again, at once."""


class _NotServed(Exception):
    """The Kubernetes cluster has no such kind: there are none of it, until its definition is installed."""


async def watch(kubeconfig: Path, changed: OnChange) -> None:
    """Call `changed` with all objects of a kind in all namespaces, first at once and then after each change.

    Each kind of PLURALS is watched by itself; one that the API server does not serve has no objects, ServiceEntries
    aside. Never returns; connects again with growing pauses where the connection breaks or the API server refuses.
    Raises LabFailed where the kubeconfig cannot be used.
    """
    server, headers, tls = _connection(kubeconfig)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=WATCH_SECONDS + 30)
    connector = aiohttp.TCPConnector(ssl=tls)
    session = aiohttp.ClientSession(server, headers=headers, connector=connector, timeout=timeout)
    async with session, asyncio.TaskGroup() as group:
        for plural in PLURALS:
            group.create_task(_watch_kind(session, plural, changed))


async def _watch_kind(session: aiohttp.ClientSession, plural: str, changed: OnChange) -> None:
    delay = FIRST_DELAY
    while True:
        started = time.monotonic()
        try:
            async for items in _object_lists(session, plural):
                changed(plural, items)
        except _VersionExpired:
            log.info("the API server's history of %s is too short; listing again", plural)
        except _NotServed:
            changed(plural, ())
            delay = LONGEST_DELAY
        except _UNUSABLE as error:
            log.warning("watching %s failed, trying again: %s: %s", plural, type(error).__name__, error)
        if time.monotonic() - started > STEADY_SECONDS:
            delay = FIRST_DELAY
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
        delay = min(delay * 2, LONGEST_DELAY)


async def _object_lists(session: aiohttp.ClientSession, plural: str) -> AsyncIterator[Iterable[Manifest]]:
    path = f"/apis/{GROUP}/{await _newest_version(session)}/{plural}"
    async with session.get(path) as response:
        if response.status == _NOT_FOUND and plural != REQUIRED:
            raise _NotServed
        response.raise_for_status()
        listed = await response.json()
    known = {_key(item): item for item in listed.get("items") or ()}
    version = listed["metadata"]["resourceVersion"]
    yield known.values()
    while True:
        started, before = time.monotonic(), version
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        async with session.get(path, params=query, raise_for_status=True) as response:
            async for event in _events(response):
                item, kind = event["object"], event["type"]
                if kind == "ERROR":
                    raise _VersionExpired if item.get("code") == _GONE else ValueError(item.get("message") or "watch error")
                version = item["metadata"]["resourceVersion"]
                if kind == "BOOKMARK":
                    continue
                if kind == "DELETED":
                    known.pop(_key(item), None)
                else:
                    known[_key(item)] = item
                yield known.values()
        if version == before and time.monotonic() - started < STEADY_SECONDS:
            raise ValueError("the API server ended the watch at once")


async def _newest_version(session: aiohttp.ClientSession) -> str:
    async with session.get(f"/apis/{GROUP}", raise_for_status=True) as response:
        served = {version["version"] for version in (await response.json()).get("versions", ())}
    for version in (each.rpartition("/")[2] for each in API_VERSIONS):
        if version in served:
            return version
    raise ValueError(f"the API server serves no known version of {GROUP}, but {', '.join(sorted(served)) or 'none'}")


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the watch's events, a JSON object a line."""
    pending = b""
    async for piece in response.content.iter_any():
        *lines, pending = (pending + piece).split(b"\n")
        if len(pending) > _LONGEST_EVENT:
            raise ValueError("the API server sent an event of more than 16 MiB")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _key(item: Manifest) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _connection(kubeconfig: Path) -> tuple[str, dict[str, str], ssl.SSLContext]:
    """Return server, headers and TLS settings of the kubeconfig's current context."""
    try:
        config = yaml.safe_load(kubeconfig.read_text())
        context = _entry_of_name(config, "contexts", config["current-context"])["context"]
        cluster = _entry_of_name(config, "clusters", context["cluster"])["cluster"]
        user = _entry_of_name(config, "users", context["user"])["user"] or {}
        authority = _file_content(cluster, "certificate-authority", kubeconfig)
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        certificate, key = (_file_content(user, name, kubeconfig) for name in ("client-certificate", "client-key"))
        if certificate and key:
            _load_client_certificate(tls, certificate + b"\n" + key)
        token = user.get("token") or ((kubeconfig.parent / user["tokenFile"]).read_text().strip() if "tokenFile" in user else "")
        return cluster["server"], {"Authorization": f"Bearer {token}"} if token else {}, tls
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise LabFailed(f"the kubeconfig {kubeconfig} cannot be used by the lab: {type(error).__name__}") from error


def _entry_of_name(config: Any, kind: str, name: str) -> Any:
    return next(item for item in config[kind] if item["name"] == name)


def _file_content(section: Mapping[str, str], name: str, kubeconfig: Path) -> bytes:
    if data := section.get(f"{name}-data"):
        return base64.b64decode(data)
    file = section.get(name)
    return (kubeconfig.parent / file).read_bytes() if file else b""


def _load_client_certificate(tls: ssl.SSLContext, chain: bytes) -> None:
    """Load certificate and key by way of memory: `ssl` reads files only, and a key belongs in none of ours."""
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, chain)
        tls.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
