"""The file is a template, which cannot be read before it is rendered.

Helm's templates cannot be read as YAML, and nothing is known of what they will say.

    kind: ServiceEntry
    metadata:
      name: {{ .Release.Name }}-db

Lint what comes of it: `helm template CHART | egressctl lint -`. To leave the templates of a folder out without a word:
`--ignore unrendered-template`.
"""

from egressctl.errors import Problem
from egressctl.lint.rule import Finding, Rule, Severity, finding_of_problem


def finding(problem: Problem) -> Finding:
    """Return what keeps a template from being read, as a finding."""
    told = f"is a template, and no manifest before it is rendered ({problem.message})"
    return finding_of_problem(RULE.id, problem)._replace(message=told, hint="helm template CHART | egressctl lint -")


RULE = Rule("unrendered-template", Severity.WARNING, __doc__, about_reading=True)
