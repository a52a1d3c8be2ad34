"""Make connections from inside the lab's pod, 50 a second, in turns to the addresses given, until its stdin ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading

A_SECOND = 50


async def once(ip: str, port: int) -> None:
    """Connect, say a word, and go."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(ip, port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read(1)
            writer.close()
            await writer.wait_closed()


async def main() -> None:
    places = [(ip, int(port)) for ip, _, port in (each.rpartition(":") for each in sys.argv[1:])]
    running: set[asyncio.Task[None]] = set()
    print("started", flush=True)
    while True:
        for place in places:
            running.add(task := asyncio.create_task(once(*place)))
            task.add_done_callback(running.discard)
            await asyncio.sleep(1 / A_SECOND)


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    # Who enters the pod for it cannot kill it: that ends only what entered.
    threading.Thread(target=end_with_stdin, daemon=True).start()
    asyncio.run(main())
