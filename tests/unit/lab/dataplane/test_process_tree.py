"""Why a machine makes no namespaces, from what its kernel says."""

from __future__ import annotations

import pytest

from egressctl.lab.dataplane.process_tree import reason_and_remedy


@pytest.mark.parametrize(
    ("sysctls", "named"),
    [
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, "apparmor_restrict_unprivileged_userns"),
        ({"kernel/unprivileged_userns_clone": "0"}, "unprivileged_userns_clone"),
        ({"user/max_user_namespaces": "0"}, "max_user_namespaces"),
        ({"user/max_net_namespaces": "0"}, "max_net_namespaces"),
    ],
)
def test_the_setting_and_its_remedy_are_named(sysctls: dict[str, str], named: str) -> None:
    reason, remedy = reason_and_remedy(lambda name: sysctls.get(name, ""))
    assert f"/{named})" in reason
    assert remedy.startswith("sudo sysctl ")
    assert named in remedy


@pytest.mark.parametrize(
    "sysctls",
    [
        {},
        {
            "kernel/apparmor_restrict_unprivileged_userns": "0",
            "kernel/unprivileged_userns_clone": "1",
            "user/max_user_namespaces": "96365",
        },
    ],
)
def test_a_kernel_that_allows_it_is_not_blamed(sysctls: dict[str, str]) -> None:
    assert reason_and_remedy(lambda name: sysctls.get(name, "")) == ("", "")
