"""What this very process has brought into being: nothing else is taken back by it."""

from __future__ import annotations

from egressctl.model.entry import Manifest


class MadeObjects:
    """The objects that one process has made, by their UIDs, and by name those of which it is not known yet.

    Labels alone would not do: whoever copies an object copies them.
    """

    def __init__(self) -> None:
        self._uids: dict[tuple[str, str, str], str] = {}

    def expect(self, plural: str, namespace: str, name: str) -> None:
        """Note what is about to be made: an answer that is lost says no UID."""
        self._uids[plural, namespace, name] = ""

    def add(self, plural: str, manifest: Manifest) -> None:
        """Note the UID of what was made."""
        self._uids[_key(plural, manifest)] = str(manifest["metadata"]["uid"])

    def discard(self, plural: str, namespace: str, name: str) -> None:
        """Forget what was expected: it is certain that this process did not make it."""
        self._uids.pop((plural, namespace, name), None)

    def includes(self, plural: str, manifest: Manifest) -> bool:
        """Say whether this process has made an object, which has its run id: that very one, or one of a name it tried to make."""
        return self._uids.get(_key(plural, manifest)) in ("", manifest["metadata"]["uid"])

    def any_in(self, plural: str, namespace: str) -> bool:
        """Say whether there may be any of a kind in a namespace."""
        return any(key[:2] == (plural, namespace) for key in self._uids)


def _key(plural: str, manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return plural, str(metadata.get("namespace", "")), str(metadata["name"])
