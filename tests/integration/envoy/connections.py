"""Make connections from inside the lab's pod: a JSON list of them on standard input, each with the local port to use.

No port may come twice: the redirect gives the second connection of a port another one towards the sidecar, as long as the
kernel remembers the first, which is minutes (two connections to one 127.0.0.1:15001 cannot have the same source).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from typing import Any

PATIENCE_SECONDS = 0.25
AT_ONCE = 40


def first_words(connection: dict[str, Any]) -> bytes:
    """Return what the client says first, before it has heard anything."""
    if connection["kind"] == "bare":
        return b""
    if connection["kind"] == "http":
        return f"GET {connection['path']} HTTP/1.1\r\nHost: {connection['name']}\r\nConnection: close\r\n\r\n".encode()
    context = ssl.create_default_context()
    context.check_hostname = False
    if connection["protocols"]:
        context.set_alpn_protocols(connection["protocols"])
    sent = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=connection["name"] or None)
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return sent.read()


async def made(connection: dict[str, Any], turn: asyncio.Semaphore) -> None:
    """Connect, speak, and go once there is an answer, an end, or silence."""
    async with turn:
        here = ("0.0.0.0", connection["local_port"])
        reader, writer = await asyncio.open_connection(connection["ip"], connection["port"], local_addr=here)
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(first_words(connection))
            await writer.drain()
            patience = PATIENCE_SECONDS if connection["kind"] != "bare" else 0.05
            # One answer is enough: what it says is in Envoy's log.
            await asyncio.wait_for(reader.read(65536), patience)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def main() -> None:
    turn = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(made(each, turn) for each in json.load(sys.stdin)))


if __name__ == "__main__":
    asyncio.run(main())
