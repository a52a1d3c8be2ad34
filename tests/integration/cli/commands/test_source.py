"""`--with-source` starts Istio's sample where there is no source pod, and `cleanup` lets it go with the last entry."""

from __future__ import annotations

import pytest

from cli import CREATED, DELETED, PODS, Cli, made, nothing_is_left, owned, without_sleep
from labs import Lab, eventually

BOTH = ["serviceentry/wikipedia-ext", "pod/sleep", "serviceaccount/sleep"]


def test_the_source_pod_comes_with_the_entry_and_goes_with_it(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    created = cli("create", "wikipedia", "--with-source")
    assert (created.code, created.stdout) == (0, CREATED)
    assert "starting the source pod sleep in namespace default" in created.stderr
    assert owned(lab) == BOTH
    [container] = lab.api("GET", f"{PODS}/sleep")[1]["spec"]["containers"]
    assert (container["image"], container["command"]) == ("curlimages/curl", ["/bin/sleep", "infinity"])

    verified = cli("verify", "-o", "json")
    assert (verified.code, verified.judged) == (0, [("open", None)] * 2)

    cleaned = cli("cleanup")
    assert cleaned.code == 0
    assert cleaned.stdout.startswith(DELETED)
    assert cleaned.stdout.count("  blocked\n") == 2
    assert "pod/sleep deleted\nserviceaccount/sleep deleted\n" in cleaned.stdout
    assert nothing_is_left(lab)
    assert lab.api("GET", f"{PODS}/sleep")[0] == 404


def test_it_stays_while_another_entry_is_there(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    assert cli("create", "wikipedia", "--with-source", "--no-wait").code == 0
    other = ("--host", "two.example", "--address", "192.0.2.0/24", "--port", "443")
    assert cli("create", "two", *other, "--no-wait").code == 0
    assert cli("cleanup", "two", "--no-verify").code == 0
    assert owned(lab) == BOTH


def test_a_run_brings_its_own_and_takes_it_away(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    ran = cli("run", "wikipedia", "--with-source", "-o", "json")
    assert (ran.code, ran.judged) == (0, [("open", None)] * 2)
    assert ran.report["targets"][0]["closure"]["held"] is True
    assert nothing_is_left(lab)


def test_a_pod_that_is_there_is_used_and_left_alone(cli: Cli, lab: Lab) -> None:
    assert cli("run", "wikipedia", "--with-source", "-q").code == 0
    assert owned(lab) == []
    assert lab.api("GET", f"{PODS}/sleep")[0] == 200


def test_a_run_leaves_the_pod_of_an_earlier_create(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    assert cli("create", "wikipedia", "--with-source").code == 0
    lab.delete({"metadata": {"namespace": "default", "name": "wikipedia-ext"}})
    assert cli("run", "wikipedia", "-q").code == 0
    assert owned(lab) == BOTH[1:]


def test_without_the_flag_nothing_is_applied(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    ran = cli("create", "wikipedia")
    assert (ran.code, ran.stdout) == (3, "")
    assert ran.error == "there is no pod with labels app in (sleep,curl) in namespace default"
    assert "--with-source" in ran.hint
    assert "--no-wait" in ran.hint
    assert owned(lab) == []


def test_without_waiting_no_pod_is_needed(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    ran = cli("create", "wikipedia", "--wait=false")
    assert (ran.code, ran.stdout) == (0, CREATED)


def test_closure_without_a_pod_is_not_proved(cli: Cli, lab: Lab) -> None:
    made(lab)
    without_sleep(lab)
    ran = cli("cleanup")
    assert ran.code == 3
    assert ran.stdout.startswith(DELETED)
    assert "there is no pod" in ran.error
    assert owned(lab) == []


def test_closure_need_not_be_proved(cli: Cli, lab: Lab) -> None:
    made(lab)
    without_sleep(lab)
    ran = cli("cleanup", "--no-verify")
    assert (ran.code, ran.stdout) == (0, DELETED)


def test_an_account_of_that_name_that_is_not_ours_is_refused(cli: Cli, lab: Lab) -> None:
    lab.api("DELETE", f"{PODS}/sleep", {"gracePeriodSeconds": 0})
    ran = cli("create", "wikipedia", "--with-source")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.error == "serviceaccount default/sleep is there already and egressctl did not make it"
    assert owned(lab) == []


def started_alone(cli: Cli, lab: Lab) -> None:
    """Have a source pod whose entry was never made, as a `create` leaves it that was killed at that moment."""
    without_sleep(lab)
    assert cli("create", "wikipedia", "--with-source").code == 0
    lab.delete({"metadata": {"namespace": "default", "name": "wikipedia-ext"}})
    assert owned(lab) == BOTH[1:]


def test_a_source_pod_without_an_entry_is_listed(cli: Cli, lab: Lab) -> None:
    started_alone(cli, lab)
    table = cli("list")
    assert [line.split()[:2] for line in table.stdout.splitlines()] == [
        ["SOURCE", "KIND"],
        ["default/sleep", "Pod"],
        ["default/sleep", "ServiceAccount"],
    ]
    line = "egressctl cleanup --all -n default"
    assert table.told("hint") == [f"no ServiceEntry goes with the source pod in namespace default: {line} deletes it"]
    assert [(each["kind"], each["name"]) for each in cli("list", "-A", "-o", "json").report["sources"]] == [
        ("Pod", "sleep"),
        ("ServiceAccount", "sleep"),
    ]
    assert cli("list", "-o", "name").stdout == ""


@pytest.mark.parametrize("flags", ["", "--all", "--all -A --yes", "--no-wait"])
def test_a_source_pod_without_an_entry_is_cleaned_up(cli: Cli, lab: Lab, flags: str) -> None:
    started_alone(cli, lab)
    tried = cli("cleanup", *flags.split(), "--dry-run=client")
    assert (tried.code, tried.stdout.splitlines()[0]) == (0, "pod/sleep deleted (dry run)")
    assert owned(lab) == BOTH[1:]
    ran = cli("cleanup", *flags.split())
    assert (ran.code, ran.stdout) == (0, "pod/sleep deleted\nserviceaccount/sleep deleted\n")
    assert eventually(lambda: owned(lab) == [])
    assert cli("cleanup", *flags.split()).stdout.startswith("egressctl made nothing in ")


def test_the_source_pod_of_an_entry_in_another_namespace_stays(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    assert cli("create", "wikipedia", "--with-source").code == 0
    assert cli("cleanup", "-n", "other").stdout == "egressctl made nothing in namespace other\n"
    assert owned(lab) == BOTH
