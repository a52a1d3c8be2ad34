"""What the names on a command line mean that are to be verified: ServiceEntries, targets of the catalogue, or a name for URLs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches

from egressctl.catalog import lookup
from egressctl.catalog.targets import load_targets
from egressctl.errors import Forbidden, InvalidInput, NotFound
from egressctl.manifests.egress_target import probe_from_url, read_target_file
from egressctl.manifests.formats import is_label
from egressctl.manifests.probes import probe_name
from egressctl.manifests.service_entry import exact_place, read_entry
from egressctl.manifests.typed_host import TypedHost, is_file_word, read_typed_host
from egressctl.manifests.yaml_reader import quote_text
from egressctl.mesh.client import Mesh, look_up_entries
from egressctl.mesh.namespaces import require_namespace
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.probe import Expectation, Probe
from egressctl.runtime.sanitize import quote
from egressctl.verify.entries_elsewhere import EntriesElsewhere
from egressctl.verify.select import (
    VerifyTarget,
    entries_by_name,
    verify_target_for,
    verify_target_from_urls,
    verify_targets_for,
    verify_targets_from_manifests,
)


def verify_targets_by_name(
    mesh: Mesh,
    namespace: str,
    names: Sequence[str],
    asked: tuple[Probe, ...],
    folders: Sequence[str],
    elsewhere: EntriesElsewhere | None = None,
    *,
    allow_internal: bool = False,
) -> list[VerifyTarget]:
    """Return what these names ask to be verified, by the probes that are asked where there are any.

    A name is a ServiceEntry of the namespace where it is one, then one of those `elsewhere`, else a target of the catalogue,
    else a host or a URL, else a file; `serviceentry/NAMESPACE/NAME` is looked for in that namespace alone. Several URLs are
    asked as one. Raises InvalidInput for a name that is none of these, and has nothing asked, and for one of several namespaces.
    """
    found: list[VerifyTarget] = []
    urls: list[Probe] = []
    for name in names:
        if "://" in name:
            urls.append(probe_of_host(name, allow_internal=allow_internal, taken=[each.name for each in urls]))
        else:
            found += _targets_of_name(mesh, namespace, name, asked, folders, elsewhere, allow_internal)
    return [*found, verify_target_from_urls((*urls, *asked), namespace)] if urls else found


def probe_of_host(word: str, *, allow_internal: bool = False, taken: Sequence[str] = ()) -> Probe:
    """Return the probe that a URL or a host asks for: a URL expects 200, a host alone any answer. Raises InvalidInput."""
    typed = read_typed_host(word)
    if typed is None or typed.host.startswith("*"):
        raise InvalidInput(f"{quote_text(word)} names no host that can be asked", hint="a host of it, such as www.wikipedia.org")
    url = typed.probe_url
    probe = probe_from_url(url, allow_internal=allow_internal)
    expect = probe.expect if typed.url and not probe.bare else Expectation(status=None)
    return replace(probe, name=probe_name(url, taken), expect=expect)


def _targets_of_name(
    mesh: Mesh,
    namespace: str,
    name: str,
    asked: tuple[Probe, ...],
    folders: Sequence[str],
    elsewhere: EntriesElsewhere | None,
    allow_internal: bool,
) -> list[VerifyTarget]:
    exact, called = exact_place(name), lookup.kubernetes_name(name)
    if exact and exact[0]:
        namespace, elsewhere = exact[0], None
    there = _entries_of_word(mesh, namespace, name, exact[1] if exact else "", elsewhere)
    if there:
        return verify_targets_from_manifests(there, asked)
    if elsewhere is None:
        require_namespace(mesh.api, namespace)
    if not exact and lookup.has_name(name, folders):
        return [verify_target_for(lookup.get_target(name, folders), namespace, None, asked)]
    typed = None if exact else read_typed_host(name)
    if typed is not None:
        return _targets_of_host(mesh, namespace, name, typed, asked, allow_internal)
    if not exact and is_file_word(name):
        targets = load_targets(read_target_file(name), name, allow_internal=allow_internal, only_read=True)
        return verify_targets_for(mesh, targets, namespace, asked, elsewhere)
    if asked:
        return [verify_target_from_urls(asked, namespace, exact[1] if exact else f"{called}-ext", exact[1] if exact else name)]
    require_namespace(mesh.api, namespace)
    raise _unknown_name_error(name, exact[1] if exact else "", namespace, elsewhere.unread if elsewhere else "")


def _entries_of_word(mesh: Mesh, namespace: str, word: str, exact: str, elsewhere: EntriesElsewhere | None) -> list[Manifest]:
    """Return the ServiceEntries that a word means: of the namespace, or of NAMESPACE/NAME, or of those elsewhere."""
    called = lookup.kubernetes_name(word)
    if exact:
        there = [entry for entry in look_up_entries(mesh, [(namespace, exact)]) if entry is not None]
    else:
        there = entries_by_name(mesh, namespace, called)
    place, slash, name = word.partition("/")
    if not there and not exact and slash and is_label(place) and "/" not in name:
        with suppress(Forbidden, NotFound):  # it may as well be a folder's name
            there = entries_by_name(mesh, place, name)
    if there or elsewhere is None:
        return there
    return elsewhere.find(word, [exact]) if exact else elsewhere.find(word, [called + SUFFIX, called], called)


def _unknown_name_error(name: str, exact: str, namespace: str, unread: str) -> InvalidInput:
    more = f"; {unread}" if unread else ""
    if exact:
        return InvalidInput(
            f"there is no ServiceEntry {exact} in namespace {namespace}{more}",
            hint=f"kubectl get serviceentries.networking.istio.io -n {quote(namespace)}",
        )
    near = get_close_matches(name, lookup.catalog_names())
    return InvalidInput(
        f"there is no ServiceEntry {name}-ext or {name} in namespace {namespace}{more}, and the catalogue has no {name}"
        + (f": did you mean {' or '.join(near)}?" if near else ""),
        hint="egressctl list shows what egressctl made; or say what to send: "
        f"egressctl verify {quote(name)} -n {quote(namespace)} --probe URL",
    )


def _targets_of_host(
    mesh: Mesh, namespace: str, word: str, typed: TypedHost, asked: tuple[Probe, ...], allow_internal: bool
) -> list[VerifyTarget]:
    """Return the target that `create` made of the host, where it is there, else a wish to ask the host, whatever sends it."""
    made = [each for each in entries_by_name(mesh, namespace, typed.target_name) if typed.host in read_entry(each).hosts]
    if made:
        return verify_targets_from_manifests(made, asked)
    probes = asked or (probe_of_host(word, allow_internal=allow_internal),)
    return [verify_target_from_urls(probes, namespace, name=typed.host)]
