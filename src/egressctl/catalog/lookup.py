"""The catalogue: targets by name, one YAML file each, built in or in folders of the user's, which come first.

`folders` are the user's, the first of them first. A name is a file's, or NAME/WORD/WORD for a target of a family.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.egress_target import read_target_file
from egressctl.manifests.formats import is_label
from egressctl.manifests.yaml_reader import parse_one
from egressctl.model.blocks import parse_block, parse_blocks
from egressctl.model.json_values import texts_at
from egressctl.model.probe import Target
from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import first_names

if TYPE_CHECKING:
    from egressctl.catalog.families import Family
    from egressctl.manifests.published import PublishedSource

_SUFFIXES = (".yaml", ".yml")
_MOST_NAMED = 6
"""So many names an error lists; beyond, it says how to see them."""


class CatalogFile(NamedTuple):
    """A file of the catalogue: its name, the folder that it is in ("" for what is built in), and its path there."""

    name: str
    folder: str
    path: str

    @property
    def source(self) -> str:
        """What problems call the file."""
        return self.path if self.folder else f"catalogue: {self.name}"


def catalog_files(folders: Sequence[str] = ()) -> tuple[CatalogFile, ...]:
    """Return the files of the catalogue, by name, the first of each name. Raises InvalidInput for what is no folder."""
    found: dict[str, CatalogFile] = {}
    for file in (*(file for folder in folders for file in _files_in_folder(folder)), *_built_in_files()):
        found.setdefault(file.name, file)
    return tuple(found[name] for name in sorted(found))


@cache
def _built_in_files() -> tuple[CatalogFile, ...]:
    listed = (Path(file.name) for file in resources.files(__package__).iterdir())
    return tuple(CatalogFile(path.stem, "", path.name) for path in listed if path.suffix in _SUFFIXES)


def _files_in_folder(folder: str) -> list[CatalogFile]:
    try:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix in _SUFFIXES)
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "a path holds no NUL"
        hint = "--catalog and EGRESSCTL_CATALOG name folders with a file for each target"
        raise InvalidInput(f"the catalogue {folder} cannot be read: {reason}", hint=hint) from None
    return [CatalogFile(path.stem, folder, str(path)) for path in paths]


def catalog_names(folders: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the catalogue's files, sorted: of targets, and of families of targets."""
    return tuple(file.name for file in catalog_files(folders))


def has_name(name: str, folders: Sequence[str] = ()) -> bool:
    """Say whether there is a target or a family of this name, or a family that it could be a target of."""
    return name.partition("/")[0] in catalog_names(folders)


def get_target(name: str, folders: Sequence[str] = ()) -> Target:
    """Return a target; raise InvalidInput that names the nearest ones where there is none of the name, or its file is broken."""
    return _get_built_in(name) if not folders else _read_target(name, folders)


@cache
def _get_built_in(name: str) -> Target:
    return _read_target(name, ())


def _read_target(name: str, folders: Sequence[str]) -> Target:
    from egressctl.catalog.targets import load_targets  # imported late: 5 ms

    file = _find_file(name, folders)
    whole = manifest_text(name, folders)
    if (several := _family_of_file(file, whole)) is not None:
        _require_member(several, "")
    found = load_targets(whole, file.source)
    expected = kubernetes_name(name)
    if len(found) != 1 or found[0].name != expected:
        place = parse_one(whole, file.source).place(("metadata", "name"))
        raise InvalidInput(problems=[Problem(f"is not {expected}, as the file is", place.field, "", place.source, place.line)])
    return found[0]


def targets_with_host(host: str, folders: Sequence[str] = ()) -> list[str]:
    """Return the names of the targets that list a host, or ask it by a probe. What cannot be read, and families, are left out."""
    found = []
    for file in catalog_files(folders):
        try:
            if host not in file_text(file) or find_family(file.name, folders) is not None:
                continue
            target = get_target(file.name, folders)
        except InvalidInput:
            continue
        if host in {*texts_at(target.spec, "hosts"), *(probe.host for probe in target.probes)}:
            found.append(file.name)
    return found


def targets_with_address(ip: str, port: int) -> list[str]:
    """Return the names of the built-in targets that list an address and a port. Families are left out."""
    address, found = parse_block(ip), []
    if address is None:
        return []
    for file in catalog_files():
        if find_family(file.name) is None:
            spec = get_target(file.name).spec
            listed = port in (each.get("number") for each in spec.get("ports") or ())
            blocks = parse_blocks(texts_at(spec, "addresses")) if listed else ()
            found += [file.name] if any(block.holds(address) for block in blocks) else []
    return found


def manifest_text(name: str, folders: Sequence[str] = ()) -> str:
    """Return the file of a target or a family as it stands, or what that of a family's target would be. Raises InvalidInput."""
    file = _find_file(name, folders)
    whole = file_text(file)
    words = name.partition("/")[2]
    family = _family_of_file(file, whole)
    if family is None:
        if words:
            raise InvalidInput(
                f"{file.name} is one target, and has no {words}", hint=f"egressctl catalog show {quote(file.name)}"
            )
        return whole
    if not words:
        return whole
    from egressctl.catalog.families import target_text  # imported late: 2 ms

    return target_text(family, _require_member(family, words))


def file_text(file: CatalogFile) -> str:
    """Return what is in a file of the catalogue. Raises InvalidInput."""
    if file.folder:
        return read_target_file(file.path)
    return resources.files(__package__).joinpath(file.path).read_text(encoding="utf-8")


def find_family(name: str, folders: Sequence[str] = ()) -> Family | None:
    """Return a family of targets by its name; None where the name is a target's. Raises InvalidInput."""
    if "/" in name:
        return None
    file = _find_file(name, folders)
    return _family_of_file(file, file_text(file))


def sources_of_target(name: str, folders: Sequence[str] = ()) -> tuple[PublishedSource, ...]:
    """Return where the blocks of a target, or of a family, come from. Raises InvalidInput."""
    from egressctl.catalog.file_editor import read_sources  # imported late: 2 ms

    if (whole := find_family(name, folders)) is not None:
        return whole.sources
    return read_sources(manifest_text(name, folders), _find_file(name, folders).source)


def kubernetes_name(name: str) -> str:
    """Return what a target of the catalogue is called on the Kubernetes cluster, but for the suffix: aws-s3-eu-west-1."""
    return name.replace("/", "-")


@lru_cache(maxsize=4)
def _family_of_file(file: CatalogFile, whole: str) -> Family | None:
    # Most are targets, which need not be read twice.
    if "EgressTargetFamily" not in whole:
        return None
    from egressctl.catalog.families import is_family, read_family  # imported late: 2 ms

    document = parse_one(whole, file.source)
    if not is_family(document):
        return None
    found = read_family(document)
    if found.name != file.name:
        place = document.place(("metadata", "name"))
        raise InvalidInput(problems=[Problem(f"is not {file.name}, as the file is", place.field, "", place.source, place.line)])
    return found


def _find_file(name: str, folders: Sequence[str]) -> CatalogFile:
    first = name.partition("/")[0]
    listed = catalog_files(folders)
    if is_label(first) and (found := next((file for file in listed if file.name == first), None)):
        return found
    known = [file.name for file in listed]
    raise InvalidInput(
        f'the catalogue has no target "{name}": {_offer(first, known)}',
        hint="make one of your own: -f FILE, or --host HOST --address BLOCK --port 443",
    )


def _require_member(family: Family, words: str) -> str:
    """Return the words that name one of a family's targets. Raises InvalidInput that says which there are."""
    if words in family.members:
        return words
    form = "/".join((family.name, *(part.upper() for part in family.parts)))
    hint = f"egressctl catalog show {quote(family.name)}"
    given = words.split("/") if words else []
    rest = [each.split("/") for each in family.members]
    for position, word in enumerate(given[: len(family.parts)]):
        known = sorted({each[position] for each in rest})
        if word not in known:
            where = "/".join((family.name, *given[:position]))
            raise InvalidInput(f'{where} has no {family.parts[position]} "{word}": {_offer(word, known)}', hint=hint)
        rest = [each for each in rest if each[position] == word]
    if len(given) > len(family.parts):
        raise InvalidInput(f"{family.name}/{words} has too many words: a target is {form}", hint=hint)
    missing = family.parts[len(given)]
    known = sorted({each[len(given)] for each in rest})
    several = "/".join((family.name, *given))
    raise InvalidInput(f"{several} is several targets, {form}: name the {missing}, {first_names(known, _MOST_NAMED)}", hint=hint)


def _offer(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there is {first_names(known, _MOST_NAMED)}"
