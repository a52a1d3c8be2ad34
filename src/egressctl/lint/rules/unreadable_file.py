"""The file cannot be read, is not text in UTF-8, or is too large.

lint cannot know what is in it, so the check does not pass. A file of more than 1 MiB is too large.

A file whose text is in Latin-1:

    metadata: {name: café, namespace: shop}

Make it readable, save it as UTF-8, or split it. Move a file that is not a manifest to another folder.
"""

from egressctl.lint.rule import Finding, Rule, Severity


def finding(name: str, message: str, hint: str = "") -> Finding:
    """Say why nothing is known of what a file holds."""
    return Finding(RULE.id, message, name, hint, file=name)


RULE = Rule(
    "unreadable-file",
    Severity.ERROR,
    __doc__,
    about_reading=True,
    example_files=lambda text: {"entry.yaml": text.encode("latin-1")},
)
