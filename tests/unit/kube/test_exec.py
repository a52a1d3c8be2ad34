"""How a command's end is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from egressctl.kube.exec import ExecResult, is_program_missing, read_exit_status


def status(**fields: Any) -> bytes:
    return json.dumps({"kind": "Status", **fields}).encode()


def test_success_is_exit_code_zero() -> None:
    assert read_exit_status(status(status="Success")) == (0, "")


def test_the_exit_code_is_the_cause_of_that_name() -> None:
    causes = [{"reason": "Other", "message": "1"}, {"reason": "ExitCode", "message": "35"}]
    message = "command terminated with non-zero exit code"
    assert read_exit_status(status(status="Failure", reason="NonZeroExitCode", message=message, details={"causes": causes})) == (
        35,
        message,
    )


def test_a_command_that_could_not_start_has_no_exit_code() -> None:
    message = 'exec: "curl": executable file not found in $PATH'
    assert read_exit_status(status(status="Failure", reason="InternalError", message=message)) == (None, message)


def test_an_exit_code_in_words_counts_only_as_an_internal_errors_last_words() -> None:
    message = "error executing command in container: exit status 35"
    assert read_exit_status(status(status="Failure", reason="InternalError", message=message))[0] == 35
    assert read_exit_status(status(status="Failure", reason="BadRequest", message=message))[0] is None
    assert read_exit_status(status(status="Failure", reason="InternalError", message=message + " or so"))[0] is None


def test_of_a_long_message_the_end_is_there_which_says_what_happened() -> None:
    """gVisor and Windows put the whole command line before it."""
    command = "curl -q " + " ".join(f"https://www.wikipedia.org/{number}" for number in range(200))
    for message in (
        f'failed to start exec: executing command [{command}] in sandbox: error finding executable "curl" in PATH [/bin]: '
        "no such file or directory",
        f'failed to start exec "{64 * "a"}": hcs::System::CreateProcess {64 * "b"}: {command}: '
        "The system cannot find the file specified.: unknown",
    ):
        code, error = read_exit_status(status(status="Failure", reason="InternalError", message=message))
        assert code is None
        assert error.endswith(message[-30:])
        assert is_program_missing(ExecResult(code, b"", b"", error), "curl")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"details": []}', b'{"details": {"causes": [1, {"reason": "ExitCode"}]}}']
)
def test_a_status_that_says_nothing_is_no_exit_code(body: bytes) -> None:
    code, error = read_exit_status(body)
    assert code is None
    assert error
