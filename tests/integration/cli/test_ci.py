"""What the repository offers to CI servers, run as they run it: an action, a job, a hook; and TAP, read by Perl's own reader."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft7Validator

from cli import GUARD_SECONDS, Cli, made
from docs.pages import read
from labs import Lab

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "tests" / "data" / "schemas"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
JOB = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text())
[HOOK] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
NASTY = "$(touch pwned) `touch pwned` ; touch pwned # \"'"


def schema(name: str) -> Draft7Validator:
    return Draft7Validator(json.loads(lzma.open(SCHEMAS / f"{name}.json.xz").read()))


def install(folder: Path) -> None:
    """Put the program where a CI's installation leaves it; what pip would do needs an index."""
    folder.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    for name, command in (("egressctl", f"{python} -m egressctl"), ("python", python)):
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        file.chmod(file.stat().st_mode | stat.S_IXUSR)


def bash(script: str, cli: Cli, options: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "--noprofile", "--norc", *options.split(), "-c", script]
    return subprocess.run(
        command, cwd=cli.home, env={**cli.env, **environment}, capture_output=True, text=True, check=False, timeout=GUARD_SECONDS
    )  # fmt: skip


def on_the_page(remark: str) -> list[Any]:
    """Return what the page on CI shows of one CI server."""
    page = read(ROOT / "docs" / "how-to" / "run-in-ci.md")
    return [yaml.safe_load(block.body) for block in page.blocks if block.remark == remark]


class TestAction:
    def test_the_page_gives_it_inputs_that_it_has_and_takes_outputs_that_it_has(self) -> None:
        shown, *_ = on_the_page("workflow")
        steps = shown["jobs"]["egress"]["steps"]
        [step] = [each for each in steps if "egressctl" in each.get("uses", "")]
        assert set(step["with"]) <= set(ACTION["inputs"])
        taken = re.findall(r"steps\.egress\.outputs\.([\w-]+)", json.dumps(shown))
        assert taken
        assert set(taken) <= set(ACTION["outputs"])

    def test_it_is_what_github_takes(self) -> None:
        schema("github-actions").validate(ACTION)

    def test_no_input_is_part_of_a_script(self) -> None:
        assert all("${{" not in step["run"] for step in ACTION["runs"]["steps"])

    def test_what_it_installs_is_what_it_was_checked_out_with(self) -> None:
        install_step = ACTION["runs"]["steps"][0]["run"]
        assert '--require-hashes -r "$GITHUB_ACTION_PATH/requirements.txt"' in install_step
        assert '--no-deps --no-build-isolation "$GITHUB_ACTION_PATH"' in install_step
        assert "--hash=" in (ROOT / "requirements.txt").read_text()

    def test_neither_lab_nor_envoy_is_installed(self) -> None:
        pinned = (ROOT / "requirements.txt").read_text()
        assert "kubernetes==" in pinned
        assert "envoy" not in pinned
        assert "cryptography" not in pinned

    def test_an_older_python_is_refused_before_anything_is_installed(self, cli: Cli) -> None:
        folder = cli.home / "old"
        folder.mkdir()
        (folder / "python3").write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
        (folder / "python3").chmod(0o755)
        env = {"PATH": f"{folder}:{cli.env['PATH']}", "RUNNER_TEMP": str(cli.home), "GITHUB_PATH": str(cli.home / "path")}
        done = bash(ACTION["runs"]["steps"][0]["run"], cli, "-eo pipefail", env)
        assert done.returncode == 2
        assert "::error title=egressctl::it needs Python 3.11 or later, and python3 is Python 3.9.2" in done.stdout
        assert not (cli.home / "egressctl").exists()

    @staticmethod
    def run(cli: Cli, **inputs: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        """Run the second step as GitHub's runner does, with the inputs given; return what it said and its outputs."""
        step = ACTION["runs"]["steps"][1]
        given = {name: inputs.get(name, each["default"]) for name, each in ACTION["inputs"].items()}
        env = {
            key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], value) for key, value in step["env"].items()
        }
        temp = cli.home / "temp"
        install(temp / "egressctl" / "bin")
        output = cli.home / "output"
        runner = {"RUNNER_TEMP": str(temp), "GITHUB_OUTPUT": str(output), "GITHUB_ACTIONS": "true"}
        done = bash(step["run"], cli, "-eo pipefail", {**env, **runner})
        lines = output.read_text().splitlines() if output.exists() else []
        return done, dict(line.split("=", 1) for line in lines)

    def test_it_runs_the_whole_task_and_hands_over_the_reports(self, cli: Cli) -> None:
        done, found = self.run(cli, target="wikipedia")
        assert (done.returncode, found["exit-code"], found["verdict"]) == (0, "0", "open"), done.stderr
        assert json.loads(Path(found["report"]).read_text())["command"] == "run"
        assert len(list(ElementTree.parse(found["junit"]).iter("testcase"))) == 4
        assert set(found) == set(ACTION["outputs"])
        for name, output in ACTION["outputs"].items():
            assert output["value"] == f"${{{{ steps.egressctl.outputs.{name} }}}}"

    def test_it_fails_as_egressctl_does_and_still_hands_over_the_reports(self, cli: Cli) -> None:
        done, found = self.run(cli, command="verify", target="wikipedia", args="--probe\nhttps://outside.example\n")
        assert (done.returncode, found["exit-code"], found["verdict"]) == (1, "1", "blocked")
        assert "::error title=wikipedia%3A outside-example::blocked" in done.stderr
        [case] = ElementTree.parse(found["junit"]).iter("testcase")
        assert case.get("name") == "outside-example"

    def test_lint_looks_at_a_folder_without_a_kubernetes_cluster(self, cli: Cli) -> None:
        rivals = cli.file((ROOT / "tests" / "manifests" / "rivals.yaml").read_text(), "rivals.yaml")
        done, found = self.run(cli.at(None), command="lint", target=rivals)
        assert (done.returncode, found["exit-code"], found["verdict"], found["junit"]) == (1, "1", "", "")
        assert "::warning " in done.stdout
        assert json.loads(Path(found["report"]).read_text())["kind"] == "LintReport"
        assert json.loads(Path(found["sarif"]).read_text())["version"] == "2.1.0"

    @pytest.mark.parametrize("name", ["context", "namespace"])
    def test_context_and_namespace_are_the_commands(self, cli: Cli, name: str) -> None:
        done, found = self.run(cli, command="verify", target="wikipedia", **{name: "nowhere"})
        assert (done.returncode, found["exit-code"]) == (3, "3")
        assert "nowhere" in done.stdout + done.stderr

    @pytest.mark.parametrize("target", ["-o", "--kubeconfig=x", "-"])
    def test_a_target_that_looks_like_an_option_is_refused(self, cli: Cli, target: str) -> None:
        done, found = self.run(cli, target=target)
        assert (done.returncode, found) == (2, {})
        assert "::error title=egressctl::the input target begins with -" in done.stdout

    def test_it_fails_where_no_report_came_about(self, cli: Cli) -> None:
        """Such as where args ask for help only, which is no proof."""
        done, found = self.run(cli, target="wikipedia", args="--help")
        assert (done.returncode, found["exit-code"], found["verdict"]) == (3, "3", "")
        assert "::error title=egressctl::no report came about" in done.stdout

    @pytest.mark.parametrize("name", ["command", "target", "args", "context", "namespace"])
    def test_no_input_is_run(self, cli: Cli, name: str) -> None:
        done, _ = self.run(cli, **{"target": "wikipedia", name: NASTY})
        assert done.returncode in (2, 3)
        assert not (cli.home / "pwned").exists()


class TestGitLab:
    def test_it_is_what_gitlab_takes(self) -> None:
        [shown] = on_the_page("gitlab")
        schema("gitlab-ci").validate({**JOB, **shown})
        assert shown["egress"]["extends"] in JOB
        assert set(shown["egress"]["variables"]) == set(JOB[".egressctl"]["variables"])

    def test_the_script_runs_the_whole_task_and_leaves_the_reports_where_they_are_looked_for(self, cli: Cli) -> None:
        job = JOB[".egressctl"]
        install(cli.home / ".egressctl" / "bin")
        script = "\n".join(job["script"])
        done = bash(script, cli, "-eo pipefail", {**job["variables"], "EGRESSCTL_ARGS": "run wikipedia"})
        assert done.returncode == 0, done.stderr
        assert len(list(ElementTree.parse(cli.home / job["artifacts"]["reports"]["junit"]).iter("testcase"))) == 4
        assert all((cli.home / path).exists() for path in job["artifacts"]["paths"])

    @pytest.mark.parametrize(("part", "variable"), [("before_script", "EGRESSCTL_SOURCE"), ("script", "EGRESSCTL_ARGS")])
    def test_it_says_what_it_must_be_told(self, cli: Cli, part: str, variable: str) -> None:
        job = JOB[".egressctl"]
        done = bash(job[part][-1], cli, "-eo pipefail", job["variables"])
        assert done.returncode != 0
        assert f"{variable}: say what" in done.stderr

    def test_a_checkout_is_installed_pinned_and_hashed(self) -> None:
        [script] = JOB[".egressctl"]["before_script"]
        assert '--require-hashes -r "$EGRESSCTL_SOURCE/requirements.txt"' in script
        assert '--no-deps --no-build-isolation "$EGRESSCTL_SOURCE"' in script

    @pytest.mark.parametrize(("digest", "code"), [(hashlib.sha256(b"program").hexdigest(), 0), ("0" * 64, 1), ("", 1)])
    def test_the_single_file_is_held_against_its_hash(self, cli: Cli, digest: str, code: int) -> None:
        folder = cli.home / "tools"
        folder.mkdir()
        (folder / "python3").write_text('#!/bin/sh\nshift 2\nprintf program > "$2"\n')  # in place of the network
        (folder / "python3").chmod(0o755)
        env = {"PATH": f"{folder}:{cli.env['PATH']}", "EGRESSCTL_SOURCE": "https://a.example/egressctl.pyz"}
        [script] = JOB[".egressctl"]["before_script"]
        done = bash(script, cli, "-eo pipefail", {**env, "EGRESSCTL_SHA256": digest})
        assert bool(done.returncode) == bool(code), done
        assert os.access(cli.home / ".egressctl" / "bin" / "egressctl", os.X_OK) == (not code)
        assert digest or "EGRESSCTL_SHA256: say the SHA-256" in done.stderr


class TestHook:
    def test_the_page_names_it(self) -> None:
        [shown] = on_the_page("pre-commit")
        assert [each["id"] for each in shown["repos"][0]["hooks"]] == [HOOK["id"]]

    def test_it_starts_a_command_that_is_installed(self) -> None:
        program, command = HOOK["entry"].split()
        assert (program, command, HOOK["language"]) == ("egressctl", "lint", "python")

    def test_it_looks_at_whole_folders_since_rivals_are_found_across_files(self, cli: Cli) -> None:
        """As pre-commit runs it: entry, then args, then the files of the commit where it passes them."""
        assert HOOK["pass_filenames"] is False
        for number in (1, 2):
            entry = cli.at(None)("render", "wikipedia", "--export-to", ".").stdout.replace("wikipedia-ext", f"wikipedia-{number}")
            cli.file(entry, f"{number}.yaml")
        ran = bash(
            f"{shlex.quote(sys.executable)} -m {shlex.join([*HOOK['entry'].split(), *HOOK['args']])}", cli.at(None), "-e", {}
        )
        assert "same-host" in ran.stdout, ran
        assert "wikipedia-1" in ran.stdout
        assert "wikipedia-2" in ran.stdout

    def test_it_passes_a_file_that_is_well_and_names_what_is_wrong_in_another(self, cli: Cli) -> None:
        words = HOOK["entry"].split()[1:]
        good = cli.file(cli.at(None)("render", "wikipedia", "--export-to", ".").stdout, "good.yaml")
        bad = cli.file("apiVersion: [\n", "bad.yaml")
        assert cli.at(None)(*words, good).code == 0
        ran = cli.at(None)(*words, good, bad)
        assert ran.code == 1
        assert "bad.yaml:" in ran.stdout


@pytest.mark.skipif(not shutil.which("prove"), reason="Perl's reader of TAP is not installed")
def test_perls_own_reader_takes_tap(cli: Cli, lab: Lab) -> None:
    def proved(*argv: str) -> tuple[int, Any]:
        file = cli.home / "report.tap"
        cli(*argv, "-o", f"tap={file}")
        done = subprocess.run(["prove", "-v", "--exec", "cat", str(file)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    made(lab)
    code, said = proved("verify")
    assert (code, said.splitlines()[-1]) == (0, "Result: PASS")
    code, said = proved("verify", "--expect", "blocked")
    assert "Failed tests:  1-2" in said
    assert code != 0
    code, said = proved("verify", "nothing-of-that-name")
    assert code != 0
    assert "Bailout called.  Further testing stopped:" in said
