"""Replace a file so that nobody ever sees half of it: a reader, a full disk or a signal finds the old one or the new."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to a file that may be there: next to it, onto the disk, then in its place; its mode stays, else umask's.

    A link is followed, and stays one. Raises OSError, with the file as it was.
    """
    place = path.resolve()
    beside = place.parent / f".egressctl-{secrets.token_hex(6)}"
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(place.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
