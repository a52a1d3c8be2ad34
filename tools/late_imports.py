"""Measure what each import inside a function saves where it is not run, and with --write put it into its comment.

What is measured is the CPU time of the imports in a process that has imported the module they stand in: the shortest of several.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
COMMENT = re.compile(r"(?<=# [iI])mported late: \d+ ms$")
LINE_LENGTH = 130
CHILD = """
import gc, importlib, os, sys, time
gc.disable()
importlib.import_module("egressctl.cli.main")
importlib.import_module(sys.argv[1])
times = []
for _ in range(7):
    reader, writer = os.pipe()
    if os.fork() == 0:
        start = time.process_time()
        exec(sys.argv[2])
        os.write(writer, str(time.process_time() - start).encode())
        os._exit(0)
    os.wait()
    times.append(float(os.read(reader, 99)))
print(min(times) * 1000)
"""


def late_imports(node: ast.AST, *, inside: bool = False) -> Iterator[list[ast.stmt]]:
    """Yield the imports within functions, those that follow each other together."""
    for field in ("body", "orelse", "finalbody", "handlers"):
        group: list[ast.stmt] = []
        for statement in getattr(node, field, ()):
            if inside and isinstance(statement, ast.Import | ast.ImportFrom):
                group.append(statement)
                continue
            if group:
                yield group
            group = []
            yield from late_imports(statement, inside=inside or isinstance(statement, ast.FunctionDef))
        if group:
            yield group


def milliseconds(module: str, group: list[ast.stmt]) -> float:
    """Measure a group of imports of a module."""
    code = "\n".join(map(ast.unparse, group))
    ran = subprocess.run([sys.executable, "-c", CHILD, module, code], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def write_comment(lines: list[str], number: int, saved: int) -> None:
    """Put the number into the comment at the end of this line (from 1), or above it where the line would be too long."""
    comment = f"mported late: {saved} ms"
    if lines[number - 2].lstrip().startswith("#") and COMMENT.search(lines[number - 2]):
        lines[number - 2] = COMMENT.sub(comment, lines[number - 2])
        return
    line = lines[number - 1].partition("  # i")[0]
    longer = f"{line}  # i{comment}"
    indent = line[: len(line) - len(line.lstrip())]
    lines[number - 1] = longer if len(longer) <= LINE_LENGTH else f"{indent}# I{comment}\n{line}"


def main(arguments: list[str]) -> None:
    """Measure all modules below the folders that are named, else of the whole source."""
    folders = [SOURCE / "egressctl" / name for name in arguments if name != "--write"] or [SOURCE]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        lines = path.read_text(encoding="utf-8").split("\n")
        for group in list(late_imports(ast.parse("\n".join(lines)))):
            saved = milliseconds(module, group)
            print(f"{saved:6.1f}  {path.relative_to(SOURCE)}:{group[0].lineno}  {ast.unparse(group[0])}", flush=True)
            write_comment(lines, group[0].lineno, round(saved))
        if "--write" in arguments:
            path.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
