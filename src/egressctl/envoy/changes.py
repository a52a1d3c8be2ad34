"""Read how often a sidecar's Envoy has changed what it has in force: what came and went between two looks shows in nothing else.

A listener that was added after the first look and removed before the second leaves the others, and their versions, as they
were. Envoy counts each change in `listener_manager.*` and `cluster_manager.*`, which Istio's bootstrap never hides.
Source: ListenerManagerImpl and ClusterManagerImpl; requiredEnvoyStatsMatcherInclusionPrefixes in istio's pkg/bootstrap.
"""

from __future__ import annotations

from egressctl.envoy.admin import as_list, as_number, as_object, read_json
from egressctl.envoy.config import Changes, Versions
from egressctl.errors import ProxyUnreadable

_STATS = {
    "added": "listener_manager.listener_added",
    "modified": "listener_manager.listener_modified",
    "removed": "listener_manager.listener_removed",
    "refused": "listener_manager.lds.update_rejected",
    "warming": "listener_manager.total_listeners_warming",
}
_CLUSTER_STATS = ("cluster_manager.cluster_added", "cluster_manager.cluster_modified", "cluster_manager.cluster_removed")
FILTER = "er_manager"
"""A pattern of the names of the stats that are read here, and of few others."""
CHANGED = "the sidecar's configuration changed during the probe"
"""Why nothing is certain of a way, where that is so."""


def parse_changes(text: str) -> Changes:
    """Read the answer to `GET stats?format=json` of those names. Raises ProxyUnreadable where one of them is not in it."""
    wanted, found = (*_STATS.values(), *_CLUSTER_STATS), dict[str, int]()
    for item in as_list(read_json(text, "stats").get("stats"), "stats"):
        stat = as_object(item, "stats[]")
        name = stat.get("name")
        # Others may be text: istiod's version of what it gave.
        if name in wanted:
            found[name] = as_number(stat.get("value"), f"the value of {name}")
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ProxyUnreadable(f"the sidecar's stats do not have {missing[0]}")
    of_clusters = sum(found[name] for name in _CLUSTER_STATS)
    return Changes(**{field: found[name] for field, name in _STATS.items()}, envoy_clusters=of_clusters)


def explains_listeners(first: Versions, last: Versions, before: Changes, after: Changes) -> bool:
    """Say whether the difference of two sets of listeners is all that was changed, each listener at most once.

    Then each listener was at any time what it is in the one or in the other. `before` is no later than `first` was read,
    `after` no earlier than `last`.
    """
    old, new = ({each.name: (each.version, each.updated) for each in versions} for versions in (first, last))
    changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    seen = len(new.keys() - old.keys()), changed, len(old.keys() - new.keys())
    counted = after.added - before.added, after.modified - before.modified, after.removed - before.removed
    return before.warming == 0 and counted == seen
