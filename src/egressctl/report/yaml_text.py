"""Plain data as YAML in which each text is one line, so that no line begins with what another program chose."""

from __future__ import annotations

from typing import Any

import yaml


def to_log_safe_yaml(data: Any) -> str:
    """Return the data as YAML, keys in their order; texts of several lines and `##[` are written with escapes."""
    text: str = yaml.dump(data, Dumper=_LogSafeDumper, sort_keys=False, allow_unicode=True, width=2**31 - 1)
    # Each of them stands in double quotes, where \x23 is `#`.
    return text.replace("##[", "#\\x23[")


class _LogSafeDumper(yaml.SafeDumper):
    """Quotes what must not stand in a line as it is, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
        return True


def _represent_text(dumper: _LogSafeDumper, text: str) -> yaml.ScalarNode:
    quoted = not text.isprintable() or "##[" in text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_LogSafeDumper.add_representer(str, _represent_text)
