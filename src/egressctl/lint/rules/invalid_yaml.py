"""The file is not YAML, or different programs read it differently, for example a key that is there twice.

kubectl, Go and Python read these differently: a key that is there twice, a merge key, a tag, a number with a leading zero. In a
folder, lint checks only documents of Istio and of egressctl; other tools may read theirs as they like.

    resolution: NONE
    resolution: DNS

Keep one of the two, or write the values out.
"""

import yaml

from egressctl.lint.rule import Finding, Rule, Severity


def syntax_finding(name: str, text: str) -> Finding | None:
    """Return what makes a text no YAML; a tag that only its own reader knows is none of that."""
    told, line = "", 1
    try:
        for _ in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told, line = f"is not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1
    except (yaml.YAMLError, UnicodeError):
        told = "is not text: it holds characters that YAML does not allow"
    return Finding(RULE.id, told, f"{name}:{line}", file=name, line=line) if told else None


RULE = Rule("invalid-yaml", Severity.ERROR, __doc__, about_reading=True)
