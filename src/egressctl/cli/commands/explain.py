"""`egressctl explain`: the path of a URL from a pod, step by step, without sending a request."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from typing import Annotated

import typer

from egressctl.cli.console import print_failure
from egressctl.cli.options import (
    CatalogFolders,
    ConnectionFlags,
    EntryNamespace,
    OutputFlags,
    SourceFlags,
    catalog_folders,
    spread_flags,
)
from egressctl.cli.session import Session
from egressctl.errors import CouldNotAsk, InvalidInput


@spread_flags
def command(
    words: Annotated[list[str] | None, typer.Argument(metavar="URL|TARGET", show_default=False)] = None,
    address: Annotated[
        list[str] | None,
        typer.Option("--address", metavar="IP", help="Address to use for every host, repeatable; nothing is resolved."),
    ] = None,
    folders: CatalogFolders = None,
    entry_namespace: EntryNamespace = "",
    *,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Show the path of a URL from the source pod, step by step, without sending a request.

    The steps: name, address, interception, listener, filter chain and those that did not match, Envoy cluster, ServiceEntry,
    and what happens next. All is read from the sidecar. A TARGET means the URLs of its probes; its entry is compared with their
    paths. Names are resolved in the pod, or on this machine if the pod cannot be asked; --address resolves nothing. Exit code 0:
    every path could be explained, wherever it ends. 3: not every path could be.

    \b
    Examples:
      egressctl explain https://www.wikipedia.org
      egressctl explain https://www.wikipedia.org --pod deploy/web -n shop
      egressctl explain https://www.wikipedia.org --address 208.80.154.224
      egressctl explain wikipedia
      egressctl explain serviceentry/wikipedia-ext -o json
      egressctl explain serviceentry/NAMESPACE/NAME -n shop
    """
    from egressctl.report.explanation import explanation_content  # imported late: 75 ms
    from egressctl.verify.entries_elsewhere import EntriesElsewhere
    from egressctl.verify.explain import explain

    addresses = [_parse_address(text) for text in address or ()]
    if not words:
        raise InvalidInput(
            "no URL is named", hint="egressctl explain https://www.wikipedia.org, or a target: egressctl explain NAME"
        )
    session = Session("explain", connection, output)
    namespace = session.namespace
    known = explain.list_readable_entries(session.mesh, namespace)
    elsewhere = EntriesElsewhere(session.mesh, namespace, "explain", None if known.unread else known.manifests)
    asked = explain.questions(words, known, entry_namespace or namespace, catalog_folders(folders), elsewhere)
    found = explain.explain(session.mesh, namespace, source.choice, asked, addresses, known, session.progress)
    content = partial(explanation_content, found.source, found.paths, found.not_looked_at)
    code = session.end(content, 0 if found.whole else 3, found.not_looked_at)
    if unknown := [each for each in found.paths if each.unknown]:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        print_failure(
            CouldNotAsk(f"the path of {unknown[0].url}{more} is not explained: {unknown[0].unknown}", hint=unknown[0].hint)
        )
    return code


def _parse_address(text: str) -> str:
    """Read --address. Raises InvalidInput."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise InvalidInput(f"--address {text}: no address", hint="such as 192.0.2.1") from None
