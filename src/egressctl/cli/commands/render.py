"""`egressctl render`: print a target's ServiceEntry, for GitOps."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from egressctl.cli.options import TargetFlags, TargetNames, spread_flags
from egressctl.errors import InvalidInput
from egressctl.model.entry import API_VERSIONS
from egressctl.report.data_text import one_or_list


@spread_flags
def command(
    names: TargetNames = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace of the entry.")] = "",
    version: Annotated[str, typer.Option("--api-version", metavar="GROUP/VERSION", help="Version to write.")] = API_VERSIONS[0],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FORMAT", help="yaml or json.")] = "yaml",
    *,
    target: TargetFlags,
) -> int:
    """Print a target's ServiceEntry as a manifest, with its probes in an annotation.

    It does not use a Kubernetes cluster. The manifest has no label of egressctl: Git owns it.

    \b
    Examples:
      egressctl render wikipedia > wikipedia.yaml
      egressctl render wikipedia -n shop --export-to '*'
      egressctl render api.example.com
      egressctl render wikipedia --api-version networking.istio.io/v1alpha3
      egressctl render -f targets.yaml -o json
    """
    from egressctl.cli.targets import export_namespaces, requested_targets  # imported late: 28 ms
    from egressctl.manifests.egress_target import split_large_targets
    from egressctl.manifests.service_entry import export_of_target, render_entry
    from egressctl.manifests.yaml_writer import write_yaml

    if version not in API_VERSIONS:
        raise InvalidInput(f"--api-version {version}: no such version", hint="one of " + ", ".join(API_VERSIONS))
    if output not in ("yaml", "json"):
        raise InvalidInput(f"--output {output}: render prints yaml or json")
    manifests = [
        render_entry(
            each,
            namespace=namespace or None,
            api_version=version,
            run_id=None,
            export_to=export_of_target(each, export_namespaces(target)),
        )
        for each in split_large_targets(requested_targets(names or [], target))
    ]
    if output == "json":
        print(json.dumps(one_or_list(manifests), indent=2, ensure_ascii=True))
    else:
        sys.stdout.write("---\n".join(map(write_yaml, manifests)))
    return 0
