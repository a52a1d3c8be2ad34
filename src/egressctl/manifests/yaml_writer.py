"""Plain data as YAML that every reader reads alike, and of which no line rewrites what a person, or a CI server, sees. Pure."""

from __future__ import annotations

import re
from typing import Any

import yaml

from egressctl.model.json_values import plain_copy


def write_yaml(data: Any) -> str:
    """Write data as YAML: keys in their order, lists as kubectl writes them, no aliases, long lines whole.

    Text that some reader of YAML takes for a number, a boolean or a date is quoted. Text of several lines, or with control or
    format characters, stands in one line with escapes: no line of it is a command to GitHub's runner, which reads `##[` anywhere
    and `::` at a line's beginning.
    """
    text: str = yaml.dump(
        plain_copy(data), Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=2**31 - 1
    )
    # What is left of these stands in double quotes, where the library escapes but some, and \x23 is `#`.
    lines = (line if line.isprintable() else "".join(map(_escape, line)) for line in text.split("\n"))
    return "\n".join(lines).replace("##[", "#\\x23[")


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


class _Dumper(yaml.SafeDumper):
    """Quotes what must not stand in a line as it is, and what YAML 1.2 and Go take for numbers, as `12e4567`."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        quoted = not text.isprintable() or "##[" in text
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$|[-+]?0[obx][0-9a-fA-F_]+$"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]$"), list("yYnN"))
