"""`egressctl completion`: print what a shell must load to complete the command line."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import typer

from egressctl.errors import InvalidInput

SHELLS = ("bash", "zsh", "fish")


def command(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", show_default=False)]) -> int:
    """Print the script with which your shell completes commands, flags and names: targets, entries, pods, contexts.

    As a plugin of kubectl it needs no script, only `kubectl_complete-egressctl` on the PATH.

    \b
    Examples:
      source <(egressctl completion bash)
      source <(egressctl completion zsh)
      egressctl completion fish | source
      egressctl completion bash > /etc/bash_completion.d/egressctl
    """
    if shell not in SHELLS:
        raise InvalidInput(f"there is no completion for {shell}", hint="one of " + ", ".join(SHELLS))
    print(resources.files("egressctl.cli").joinpath("shells", f"egressctl.{shell}").read_text(encoding="utf-8"), end="")
    return 0
