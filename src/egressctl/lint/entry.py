"""Find everything about one ServiceEntry, wherever it stands: what it says itself, and what others do to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from egressctl.istio.conflict import EntryConflict
from egressctl.istio.conflict_index import ConflictsFound
from egressctl.lint.rule import Finding, LintedEntry, finding_of_conflict, rules_about_an_entry

NO_RIVALS = ConflictsFound((), 0)


def entry_findings(
    case: LintedEntry, rivals: ConflictsFound = NO_RIVALS, interference: Iterable[EntryConflict] = ()
) -> list[Finding]:
    """Return what the rules about one entry find, then what other entries do to it, and other objects."""
    where = str(case.entry)
    found = [
        Finding(rule.id, message, where, hint, path=path)
        for rule in rules_about_an_entry()
        if rule.check and rule.only_in in (None, case.place)
        for message, hint, path in rule.check(case)
    ]
    found += [finding_of_conflict(clash, where) for clash in (*rivals.conflicts, *interference)]
    if rivals.more and rivals.conflicts:
        told = f"{rivals.more} more entries compete with it, and are not shown here"
        found.append(Finding(str(rivals.conflicts[0].rule), told, where, path=rivals.conflicts[-1].path))
    return found
