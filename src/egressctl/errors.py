"""Everything that egressctl refuses or fails at, as exceptions.

EgressctlError
├── InvalidInput          2   flags, files and targets that cannot be used; has every problem found
│   └── Refused           2   the API server's validation or admission refused the object
├── Conflict              1   the object is somebody else's, or somebody else changed it
│   └── Modified              it is not as it was looked at: made, changed or deleted since
│       └── Replaced          it is gone, and another has its name
├── NoSuchTarget          1   a name means nothing that egressctl made, and no target that it knows
├── CouldNotAsk           3   the question could not be put to the Kubernetes cluster, or not to the end
│   ├── NoConfiguration       no kubeconfig, no such context, a broken kubeconfig
│   ├── Unreachable           no connection to the API server, or it broke
│   ├── NotTrusted            the API server's certificate is not trusted
│   ├── Unauthorized          the credentials were refused or have expired
│   ├── Forbidden             the credentials do not have a right: verb, resource, namespace
│   ├── NotFound              an object or a resource that must be there is not
│   ├── ApiFailure            the API server answered with an error of its own
│   ├── ExecFailed            the command could not be run in the container
│   ├── ProxyUnreadable       the sidecar's admin interface gave no usable answer
│   ├── NoSourcePod           no pod to send the probe from, or several without a choice
│   ├── FetchFailed           a published list of addresses could not be fetched
│   └── TimedOut              a wait ran out
├── CleanupIncomplete     5   something owned is left, on the Kubernetes cluster or of a lab
└── LabFailed             3   the local lab could not do what was asked

Interrupted (BaseException) 129, 130, 131, 143: a signal; never caught as an ordinary failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in an input: what is wrong, where, and what would be right.

    `field` is a path such as `spec.addresses[2]`; `line` counts from 1 and is None where the
    input has no lines (flags); `remedy` is a half sentence that says what to write instead.
    """

    message: str
    field: str = ""
    remedy: str = ""
    source: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.source, self.line) if part)
        head = ": ".join(part for part in (where, self.field) if part)
        text = f"{head}: {self.message}" if head else self.message
        return f"{text} ({self.remedy})" if self.remedy else text


class EgressctlError(Exception):
    """Say in one sentence what went wrong; `hint` is the next command to type or thing to do."""

    exit_code = 70
    again = False
    """Whether the request was sent before as well, and may have been done then although this is what came of it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidInput(EgressctlError):
    """Report every problem of one input at once."""

    exit_code = 2

    def __init__(self, message: str = "", *, problems: Sequence[Problem] = (), hint: str = "") -> None:
        super().__init__(message or "\n".join(map(str, problems)), hint=hint)
        self.problems = tuple(problems)


class Refused(InvalidInput):
    """The API server's schema, CEL rules or a webhook refused the object."""


class Conflict(EgressctlError):
    """The object is not ours to change: made or taken over by somebody else."""

    exit_code = 1


class Modified(Conflict):
    """The object is not as it was looked at: somebody made, changed or deleted it since."""


class Replaced(Modified):
    """The object is gone, and another one, of another UID, has its name.

    `ours` says whether egressctl made that other one, and is True where that is not known.
    """

    ours = True


class NoSuchTarget(EgressctlError):
    """A name means neither an object that egressctl made nor a target that it knows."""

    exit_code = 1


class CouldNotAsk(EgressctlError):
    """The question could not be put, or its answer did not come."""

    exit_code = 3


class NoConfiguration(CouldNotAsk):
    """No usable kubeconfig, context or credentials were found on this machine."""


class Unreachable(CouldNotAsk):
    """The API server could not be reached, or the connection broke."""


class NotTrusted(CouldNotAsk):
    """The API server's certificate does not verify against the configured authority."""


class Unauthorized(CouldNotAsk):
    """The API server refused the credentials (401): unknown or expired."""


class Forbidden(CouldNotAsk):
    """The credentials do not have a right (403).

    `verb` and `resource` are RBAC's words (`patch`, `serviceentries.networking.istio.io`).
    """

    def __init__(self, message: str, *, verb: str, resource: str, namespace: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.verb, self.resource, self.namespace = verb, resource, namespace


class NotFound(CouldNotAsk):
    """An object, a namespace or a served resource (Istio's CRD) is not there (404).

    `name` is that of the object or namespace that the API server says is not there, "" where it is something else.
    """

    def __init__(self, message: str, *, name: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class ApiFailure(CouldNotAsk):
    """The API server answered with a failure that retrying did not cure.

    `status` is the HTTP status code, 0 where none came.
    """

    def __init__(self, message: str, *, status: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ExecFailed(CouldNotAsk):
    """The command could not be run in the container, or its answer was lost on the way."""


class ProxyUnreadable(CouldNotAsk):
    """The sidecar's admin interface gave nothing that can be judged."""


class NoSourcePod(CouldNotAsk):
    """There is no pod to send the probe from, or no single one."""


class FetchFailed(CouldNotAsk):
    """A published list could not be fetched, or what came is none; the message begins with its address."""


class TimedOut(CouldNotAsk):
    """A wait ran out; the message says what was waited for."""


class CleanupIncomplete(EgressctlError):
    """Something owned is left; `left` names each object, and the hint how to remove it."""

    exit_code = 5

    def __init__(self, message: str, *, left: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.left = tuple(left)


class LabFailed(EgressctlError):
    """A step of the local lab failed; the message names the step and why."""

    exit_code = 3


class Interrupted(BaseException):
    """A signal asked to stop; `hint` is what is to be said of where it struck.

    `exit_code` is the shell's: 129 for SIGHUP, 130 for SIGINT, 131 for SIGQUIT, 143 for SIGTERM.
    """

    hint = ""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.signum = signum
        self.exit_code = 128 + signum
