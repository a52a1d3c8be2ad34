"""A comment asks to ignore no rule, or one that does not exist.

Such a comment hides nothing, and whoever wrote it believes that it does.

    # egressctl: ignore=exported-everwhere
    metadata: {name: shop-db, namespace: shop}

Write the rule's name as lint prints it. How such comments are read is in [see what is in the way](../how-to/lint.md).
"""

from egressctl.lint.rule import Rule, Severity

RULE = Rule("unknown-ignore", Severity.WARNING, __doc__)
