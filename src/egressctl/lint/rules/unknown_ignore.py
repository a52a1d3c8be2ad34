"""A comment names no rule to ignore, or a rule that does not exist.

Such a comment hides nothing, but its author believes that it does.

    # egressctl: ignore=exported-everwhere
    metadata: {name: shop-db, namespace: shop}

Write the rule's name as lint prints it. [This page](../how-to/lint.md) explains such comments.
"""

from egressctl.lint.rule import Rule, Severity

RULE = Rule("unknown-ignore", Severity.WARNING, __doc__)
