"""Keep a snapshot's files in a folder: whole or as it was, and nothing of others changed; and read them back."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from egressctl.errors import EgressctlError, InvalidInput, Problem
from egressctl.manifests.yaml_reader import MAX_BYTES
from egressctl.mesh.snapshot.format import INDEX, MARK, Snapshot, is_index, is_object, parse_snapshot
from egressctl.runtime.signals import Interrupts

MAX_FILES = 100_000
MAX_TOTAL_BYTES = 256 << 20


class NotWritten(EgressctlError):
    """The folder could not be written; the snapshot in it is as it was, unless the message says otherwise."""

    exit_code = 3


def load_snapshot(folder: str) -> Snapshot:
    """Read the snapshot in a folder. Raises InvalidInput where there is none, or one that is not whole or too large."""
    if not Path(folder).is_dir():
        raise _refusal(folder, "is no folder", "take a snapshot with: egressctl snapshot FOLDER")
    return parse_snapshot(read_snapshot_files(folder), folder)


def read_snapshot_files(folder: str) -> dict[str, str]:
    """Return the files of a snapshot by their paths; of a folder that is none, or is not there, nothing.

    Raises InvalidInput where something stands in a snapshot's place that is not of it, or in the way of its files.
    """
    top = Path(folder)
    index = _read_text(top, INDEX) if (top / INDEX).exists() else None
    if index is None or not is_index(index, str(top / INDEX)):
        return {}
    found, size = {INDEX: index}, len(index)
    for path in _object_paths(top):
        text = _read_text(top, path)
        if not text.replace("\r\n", "\n").startswith(MARK):
            raise _refusal(str(top / path), "is in the folder of a snapshot, but is not a part of it", "move it elsewhere")
        found[path] = text
        size += len(text)
        if len(found) > MAX_FILES or size > MAX_TOTAL_BYTES:
            limit = f"at most {MAX_FILES:,} files with {MAX_TOTAL_BYTES >> 20} MiB"
            raise _refusal(folder, "is too large for a snapshot", limit)
    return found


def check_folder(folder: str) -> dict[str, str]:
    """Return the files of the snapshot that a folder has. Raises InvalidInput for one that holds anything else.

    Hidden files, such as Git's, may be in it, and so may files next to those of a snapshot.
    """
    top = Path(folder)
    if not top.exists():
        if not top.absolute().parent.is_dir():
            raise _refusal(folder, "cannot be made: its parent folder does not exist", "check the path")
        return {}
    if not top.is_dir():
        raise _refusal(folder, "is no folder", "name one that is empty or new")
    try:
        found = read_snapshot_files(folder)
        strange = [] if found else [each.name for each in top.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        raise _refusal(str(error.filename), f"cannot be read: {error.strerror}", "") from None
    if strange:
        raise _refusal(folder, f"holds {sorted(strange)[0]}, and not a snapshot", "name an empty folder, or that of a snapshot")
    return found


def store_snapshot(folder: str, old: Mapping[str, str], new: Mapping[str, str], interrupts: Interrupts) -> None:
    """Put new files in the place of those of the old snapshot, of which only its own are removed.

    All that may fail for want of room happens elsewhere, first; the index comes last, and without it, or with that of an
    earlier one, a snapshot that was only half put in place is refused where it is read. Raises NotWritten.
    """
    top = Path(folder)
    made = not top.exists()
    try:
        with contextlib.ExitStack() as stack:
            with interrupts.deferred():
                top.mkdir(exist_ok=True)
                if made:
                    stack.callback(_remove_if_empty, [top], interrupts)
                beside = Path(tempfile.mkdtemp(prefix=".egressctl-snapshot-", dir=top))
                stack.callback(_remove, beside, interrupts)
            changed = [path for path, text in new.items() if old.get(path) != text]
            for number, path in enumerate(changed):
                (beside / str(number)).write_text(new[path], encoding="utf-8", newline="\n")
            with interrupts.deferred():
                folders = _missing_folders(top, changed)
                stack.callback(_remove_if_empty, folders, interrupts)
                for each in folders:
                    each.mkdir(exist_ok=True)
                _put_in_place(
                    top, [(beside / str(number), path) for number, path in enumerate(changed)], sorted(old.keys() - new.keys())
                )
    except OSError as error:
        raise NotWritten(
            f"the snapshot could not be written to {folder}: {error.strerror or error}",
            hint="whether one is whole is seen where it is read: egressctl lint FILES --against FOLDER",
        ) from None


def _missing_folders(top: Path, paths: Iterable[str]) -> list[Path]:
    """Return the folders that files are to be in and that are not there, the outer before the inner."""
    found = {
        folder: None for path in paths for folder in [*(top / path).parents][1::-1] if folder != top and top in folder.parents
    }
    return [folder for folder in found if not folder.exists()]


def _put_in_place(top: Path, written: Sequence[tuple[Path, str]], gone: Sequence[str]) -> None:
    for beside, path in written[:-1]:
        os.replace(beside, top / path)
    for path in gone:
        (top / path).unlink(missing_ok=True)
        for parent in (top / path).parents[:2]:
            with contextlib.suppress(OSError):  # other files are in it
                parent.rmdir()
    for beside, path in written[-1:]:
        os.replace(beside, top / path)


def _remove(folder: Path, interrupts: Interrupts) -> None:
    with interrupts.deferred():
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_empty(folders: Sequence[Path], interrupts: Interrupts) -> None:
    with interrupts.deferred():
        for each in reversed(folders):
            with contextlib.suppress(OSError):
                each.rmdir()


def _object_paths(top: Path) -> Iterator[str]:
    """Yield the paths below a folder that are those of a snapshot's objects. Raises InvalidInput for a link on the way."""
    for namespace in sorted(os.scandir(top), key=lambda each: each.name):
        for kind in _entries_of_folder(namespace):
            for file in _entries_of_folder(kind):
                path = f"{namespace.name}/{kind.name}/{file.name}"
                if is_object(path):
                    if not file.is_file(follow_symlinks=False):
                        raise _refusal(str(top / path), "is no plain file", "a snapshot has no links")
                    yield path


def _entries_of_folder(entry: os.DirEntry[str]) -> list[os.DirEntry[str]]:
    if entry.name.startswith(".") or not entry.is_dir():
        return []
    if entry.is_symlink():
        raise _refusal(entry.path, "is a link", "a snapshot has no links")
    return sorted(os.scandir(entry), key=lambda each: each.name)


def _read_text(top: Path, path: str) -> str:
    try:
        with open(top / path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) <= MAX_BYTES:
            return data.decode()
    except OSError as error:
        raise _refusal(str(top / path), f"cannot be read: {error.strerror}", "") from None
    except UnicodeDecodeError:
        raise _refusal(str(top / path), "is not text in UTF-8", "") from None
    raise _refusal(str(top / path), "is larger than 1 MiB", "")


def _refusal(source: str, message: str, remedy: str) -> InvalidInput:
    return InvalidInput(problems=[Problem(message, "", remedy, source)])
