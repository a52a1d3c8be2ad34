"""`egressctl compare` of reports that `verify` wrote before and after something took a probe's traffic."""

from __future__ import annotations

import json

from cli import Cli, entry, made, sidecar_leads_to
from labs import Lab, eventually

RIVAL = entry("rival", hosts=["aaa.example"], addresses=["208.80.154.224/28"], exportTo=["."])


def test_a_rival_that_came_between_is_named_although_every_answer_came(cli: Cli, lab: Lab) -> None:
    made(lab)
    before = cli.file(cli("verify", "-o", "json").stdout, "before.json")
    lab.create(RIVAL)
    assert eventually(lambda: sidecar_leads_to(lab, "aaa.example"))
    ran = cli("verify", "--expect", "bypassed", "-o", "json")
    assert ran.code == 0
    after = cli.file(ran.stdout, "after.json")

    ran = cli("compare", before, after)
    assert (ran.code, ran.stderr) == (1, "")
    changed, carried, verdict, cause, *_ = ran.stdout.splitlines()
    assert changed == "changed   default/wikipedia portal  https://www.wikipedia.org"
    assert carried.split(maxsplit=1) == ["path", "outbound|443||wikipedia.org -> outbound|443||aaa.example"]
    assert verdict.split() == ["verdict", "open", "->", "bypassed"]
    assert cause.split() == ["cause", "none", "->", "rival-entry"]
    assert ran.stdout.endswith("\n2 probes: 2 changed\n")

    ran = cli("compare", before, "-", "-o", "json", stdin=(cli.home / "after.json").read_text())
    assert (ran.code, ran.report["kind"], ran.report["exitCode"]) == (1, "Comparison", 1)
    assert ran.report["new"]["file"] == "standard input"
    assert [(each["name"], each["change"]) for each in ran.report["probes"]] == [("portal", "changed"), ("articles", "changed")]
    assert ran.report["probes"][0]["new"]["envoyCluster"] == "outbound|443||aaa.example"
    assert cli("compare", before, after, "-o", "name").stdout == "default/wikipedia portal\ndefault/wikipedia articles\n"

    same = cli("compare", after, after, "-o", "table", "-o", "json=both.json")
    assert json.loads((cli.home / "both.json").read_text())["exitCode"] == 0
    assert (same.code, same.stdout.splitlines()[-1]) == (0, "2 probes: 2 same")


def test_no_kubernetes_cluster_is_asked_and_all_faults_of_both_files_are_told(cli: Cli) -> None:
    nowhere = cli.at(None)
    old, new = nowhere.file("{}", "old.json"), nowhere.file(json.dumps({"kind": "LintReport"}), "new.json")
    ran = nowhere("compare", old, new)
    assert (ran.code, ran.stdout) == (2, "")
    assert [line.partition(" (")[0] for line in ran.told("error")] == [
        f"{old}: is no report: its kind is empty",
        f'{new}: is no report: its kind is the text "LintReport"',
    ]
    missing = nowhere("compare", old, "nothing.json")
    assert "nothing.json: cannot be read: no such file or directory" in missing.stderr
    assert nowhere("compare", "-", "-").error == "compare - -: standard input holds one report"
    assert nowhere("compare", old).code == 2
