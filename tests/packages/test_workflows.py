"""GitHub's workflows, read by actionlint; what the release may do, and the action as a workflow uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from packages.conftest import ROOT, run
from packages.programs import find_program

WORKFLOWS = ROOT / ".github" / "workflows"
RELEASE: dict[str, Any] = yaml.safe_load((WORKFLOWS / "release.yml").read_text())
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())


def test_actionlint_finds_nothing_in_the_workflows() -> None:
    files = sorted(WORKFLOWS.glob("*.yml"))
    assert files
    ran = run(find_program("actionlint"), "-no-color", *files)
    assert (ran.returncode, ran.stdout) == (0, ""), ran


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    shutil.copy(ROOT / "action.yml", tmp_path)
    return tmp_path


def lint_use(repository: Path, inputs: dict[str, str], output: str) -> str:
    """Return what actionlint says of a workflow that uses the action."""
    steps = [{"id": "egress", "uses": "./", "with": inputs}, {"run": f"echo ${{{{ steps.egress.outputs.{output} }}}}"}]
    workflow = {"on": ["push"], "jobs": {"egress": {"runs-on": "ubuntu-24.04", "steps": steps}}}
    file = repository / ".github" / "workflows" / "egress.yml"
    file.write_text(json.dumps(workflow))
    return run(find_program("actionlint"), "-no-color", file, cwd=repository).stdout


def test_the_action_can_be_used_with_all_its_inputs_and_outputs(repository: Path) -> None:
    for output in ACTION["outputs"]:
        assert lint_use(repository, dict.fromkeys(ACTION["inputs"], "x"), output) == ""


def test_what_the_action_does_not_have_is_found(repository: Path) -> None:
    assert 'input "targets" is not defined' in lint_use(repository, {"targets": "x"}, "verdict")
    assert 'property "verdicts" is not defined' in lint_use(repository, {"target": "x"}, "verdicts")


def test_a_release_is_published_by_identity_and_not_by_a_secret() -> None:
    text = (WORKFLOWS / "release.yml").read_text()
    assert "secrets." not in text
    assert "password" not in text
    assert RELEASE["permissions"] == {}
    index = RELEASE["jobs"]["index"]
    assert (index["permissions"], index["environment"]) == ({"id-token": "write"}, "pypi")


def test_each_file_of_a_release_has_its_provenance_and_the_single_file_its_bill_of_materials() -> None:
    used = {step["uses"].partition("@")[0]: step.get("with") for step in RELEASE["jobs"]["build"]["steps"] if "uses" in step}
    assert used["actions/attest-build-provenance"] == {"subject-checksums": "dist/SHA256SUMS"}
    assert used["actions/attest-sbom"]["sbom-path"] == "dist/egressctl.cdx.json"


def test_no_expression_is_part_of_a_script() -> None:
    for job in RELEASE["jobs"].values():
        assert not [step["run"] for step in job["steps"] if "${{" in step.get("run", "")]
