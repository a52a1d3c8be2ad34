"""Why a machine does not let an ordinary user make namespaces, in a sentence, as far as /proc tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_SYSCTLS = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        lambda value: value not in ("", "0"),
        "AppArmor keeps ordinary users from making user namespaces (Ubuntu's default since 23.10)",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "kernel/unprivileged_userns_clone",
        lambda value: value == "0",
        "the kernel keeps ordinary users from making user namespaces",
        "sudo sysctl kernel.unprivileged_userns_clone=1",
    ),
    (
        "user/max_user_namespaces",
        lambda value: value == "0",
        "the number of user namespaces is limited to none",
        "sudo sysctl user.max_user_namespaces=15000",
    ),
    (
        "user/max_net_namespaces",
        lambda value: value == "0",
        "the number of network namespaces is limited to none",
        "sudo sysctl user.max_net_namespaces=15000",
    ),
)


def reason_and_remedy(read: Callable[[str], str]) -> tuple[str, str]:
    """Return why namespaces cannot be made, and the command that allows them; empty texts where nothing is found.

    `read` returns the content of a file below /proc/sys, empty where there is none.
    """
    for name, forbids, reason, remedy in _SYSCTLS:
        if forbids(read(name)):
            return f"{reason} (/proc/sys/{name})", remedy
    return "", ""


def read_sysctl(name: str) -> str:
    """Return a setting of this machine's kernel; empty where it has none of that name."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
