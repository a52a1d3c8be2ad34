"""The file is a template, which lint cannot read before it is rendered.

Helm's templates are not YAML, and lint cannot know what they will contain.

    kind: ServiceEntry
    metadata:
      name: {{ .Release.Name }}-db

Lint the rendered result: `helm template CHART | egressctl lint -`. To skip the templates of a folder:
`--ignore unrendered-template`.
"""

from egressctl.errors import Problem
from egressctl.lint.rule import Finding, Rule, Severity, finding_of_problem


def finding(problem: Problem) -> Finding:
    """Return what keeps a template from being read, as a finding."""
    told = f"is a template, and no manifest before it is rendered ({problem.message})"
    return finding_of_problem(RULE.id, problem)._replace(message=told, hint="helm template CHART | egressctl lint -")


RULE = Rule("unrendered-template", Severity.WARNING, __doc__, about_reading=True)
