"""The endpoint itself: a port with TLS, a store, and what serves it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from aiohttp import web

from egressctl.lab.api.objects import current_time
from egressctl.lab.api.seed import seed_store
from egressctl.lab.api.service import BODY_LIMIT, RequestRouter
from egressctl.lab.api.settings import EndpointSettings
from egressctl.lab.api.store import Store

_LINE_LIMIT = 1024 * 1024
"""Bytes of a request's head, Go's default; exec's arguments travel in it."""


class ApiEndpoint:
    """A running endpoint. `port` is the one it listens on; `store` what it holds."""

    def __init__(self, runner: web.AppRunner, port: int, service: RequestRouter) -> None:
        self._runner, self.port, self._service, self.store = runner, port, service, service.store

    async def close(self) -> None:
        """Stop listening, end what is under way, and kill what was run."""
        await self._service.end_commands()
        served = self._runner.server
        connections = [one.transport for one in served.connections if one.transport] if served else []
        sockets = [each for connection in connections if (each := connection.get_extra_info("socket")) is not None]
        await self._runner.cleanup()
        # A client that does not answer the TLS farewell would keep its connection open for half a minute. The transport
        # cannot be aborted: in Python 3.11.2, one that is closing no longer knows its protocol.
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        await asyncio.sleep(0)


async def serve_api(settings: EndpointSettings) -> ApiEndpoint:
    """Serve a freshly seeded Kubernetes API until the endpoint is closed; raise OSError where the port is taken."""
    store = Store()
    store.pods_have_ipv6 = settings.ipv6
    seed_store(store, current_time(), settings.annotations)
    service = RequestRouter(settings, store)
    app = web.Application(middlewares=[service.guard], client_max_size=BODY_LIMIT)
    app.router.add_route("*", "/{path:.*}", service.dispatch)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key)
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=0.1,
        max_line_size=_LINE_LIMIT,
        max_field_size=_LINE_LIMIT,
    )
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port, ssl_context=context, backlog=512)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return ApiEndpoint(runner, int(runner.addresses[0][1]), service)
