"""Read a file of which nobody knows what it is: a device has no end, and a pipe may never begin."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from egressctl.runtime.concurrency import call_within


def read_bounded(path: Path, most: int, seconds: float) -> bytes:
    """Return what a file holds. Raises OSError, also where it is larger than `most` bytes or does not come within `seconds`."""

    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(most + 1)

    try:
        # In a thread, since nothing stops the opening of a pipe that nobody writes to.
        content = call_within(seconds, read) if not path.is_file() else read()
    except TimeoutError:
        raise TimeoutError(errno.ETIMEDOUT, "nothing came in time", str(path)) from None
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content
