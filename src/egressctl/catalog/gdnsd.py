"""The addresses in a configuration of gdnsd's geoip plugin: which resource has which in which data centre. Pure.

The language is gdnsd's own (vscf): `key => value`, `{ hash }`, `[ array ]`, and comments from # to the end of the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.yaml_reader import quote_text
from egressctl.model.json_values import mapping_at

_TOKEN = re.compile(r'(?P<gap>\s+|#[^\n]*|,)|(?P<sign>=>|[{}\[\]])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s{}\[\],"#=]+)')
_MAX_DEPTH = 20
_ADDRESSES = ("addrs_v4", "addrs_v6")


def addresses_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Give (resource, data centre, address) for every address of every resource's `dcmap`.

    Raises InvalidInput for what is no configuration of this kind.
    """
    for resource, options in _parse_config(text).items():
        for centre, value in mapping_at(options, "dcmap").items():
            held = [value.get(key, []) for key in _ADDRESSES] if isinstance(value, dict) else [value]
            for each in held:
                for address in each if isinstance(each, list) else [each]:
                    if not isinstance(address, str):
                        raise InvalidInput(problems=[Problem("is no address", f"{resource}.dcmap.{centre}")])
                    yield resource, centre, address


def _parse_config(text: str) -> dict[str, Any]:
    """Read a text as nested mappings and lists of texts."""
    root: dict[str, Any] = {}
    stack: list[Any] = [root]
    key: str | None = None
    arrow = False
    for line, kind, word in _tokens(text):
        top = stack[-1]
        if kind == "sign" and word in "}]":
            if len(stack) == 1 or key is not None or isinstance(top, dict) != (word == "}"):
                raise _refusal(line, f"{word} closes nothing")
            stack.pop()
        elif kind == "sign" and word == "=>":
            if key is None or arrow:
                raise _refusal(line, "=> stands behind no key")
            arrow = True
        elif isinstance(top, dict) and key is None:
            if kind == "sign":
                raise _refusal(line, f"{word} stands where a key is expected")
            if word in top:
                raise _refusal(line, f"the key {quote_text(word)} is here twice")
            key = word
        elif isinstance(top, dict) and not arrow:
            raise _refusal(line, f"behind the key {quote_text(str(key))} there is no =>")
        else:
            value: Any = {"{": {}, "[": []}[word] if kind == "sign" else word
            if isinstance(top, dict):
                top[str(key)], key, arrow = value, None, False
            else:
                top.append(value)
            if kind == "sign":
                stack.append(value)
                if len(stack) > _MAX_DEPTH:
                    raise _refusal(line, "it is nested too deeply")
    if len(stack) > 1 or key is not None:
        raise _refusal(text.count("\n") + 1, "it ends too early")
    return root


def _tokens(text: str) -> Iterator[tuple[int, str, str]]:
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise _refusal(line, f"{quote_text(text[at])} is not understood")
        kind = str(match.lastgroup)
        if kind != "gap":
            yield line, kind, match[kind]
        line += text.count("\n", at, match.end())
        at = match.end()


def _refusal(line: int, message: str) -> InvalidInput:
    return InvalidInput(problems=[Problem(message, f"line[{line}]", "expected gdnsd's configuration: key => value")])
