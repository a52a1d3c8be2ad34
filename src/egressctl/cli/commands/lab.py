"""`egressctl lab`: start, inspect and stop the local lab."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from egressctl.cli.help_text import GroupedCommand
from egressctl.errors import Interrupted, InvalidInput, LabFailed
from egressctl.runtime.sanitize import quote

_NAME = Annotated[
    str, typer.Option("--name", metavar="NAME", envvar="EGRESSCTL_LAB_NAME", help="Which lab; several can run at the same time.")
]
_POLICY = Annotated[
    str, typer.Option("--policy", metavar="REGISTRY_ONLY|ALLOW_ANY", help="Outbound traffic policy. [default: REGISTRY_ONLY]")
]

_HELP = """Start, inspect and stop the local lab: a pod with a real Envoy, a small internet and a small Kubernetes API.

It needs no root, no Docker and no internet. It needs curl, util-linux, and a Linux that lets an ordinary user make namespaces.

\b
Examples:
  egressctl lab up
  egressctl lab up --policy ALLOW_ANY
  egressctl lab policy ALLOW_ANY
  egressctl lab exec -- curl -sI https://www.wikipedia.org
  egressctl lab list
  egressctl lab down
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the group of commands to the application."""
    from egressctl.cli.commands import lab_list  # imported late: 40 ms

    group = typer.Typer(add_completion=False, rich_markup_mode=None, help=_HELP, short_help=short)
    group.command("up")(up)
    group.command("list", short_help=lab_list.SHORT, cls=GroupedCommand)(lab_list.command)
    for command in (status, exec_, logs, policy, stall, resume, restart_proxy, down):
        group.command(command.__name__.rstrip("_").replace("_", "-"))(command)
    app.add_typer(group, name=name)


def up(
    name: _NAME = "default",
    policy: _POLICY = "",
    exclude_ip_ranges: Annotated[
        str,
        typer.Option("--exclude-ip-ranges", metavar="CIDR,...", help="Blocks whose traffic does not go through the sidecar."),
    ] = "",
    exclude_ports: Annotated[
        str, typer.Option("--exclude-ports", metavar="PORT,...", help="Ports whose traffic does not go through the sidecar.")
    ] = "",
    ipv6: Annotated[bool, typer.Option("--ipv6", help="Give pods and the internet IPv6 as well as IPv4.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Add a context egressctl-lab to your kubeconfig.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No hints.")] = False,
) -> int:
    """Start the lab, if it does not run yet.

    It prints the line that makes kubectl and egressctl use it.
    """
    from egressctl.cli.console import say  # imported late: 11 ms
    from egressctl.lab import control
    from egressctl.lab.dataplane.exclusions import parse_exclusions
    from egressctl.lab.kubeconfig import add_lab_context
    from egressctl.lab.state import context_name
    from egressctl.runtime.signals import Interrupts
    from egressctl.runtime.undo import Undo

    asked = parse_exclusions(exclude_ip_ranges, exclude_ports) if exclude_ip_ranges or exclude_ports else None
    started = control.start(name, policy or None, excluded=asked, ipv6=ipv6 or None)
    with Interrupts() as interrupts, started as info, Undo(interrupts) as undo:
        if not quiet:
            say(f"lab {info.name} is up: outbound traffic policy {info.policy}, API server {info.address}")
        if merge:
            added = context_name(name)
            undo.register(f"context {added}", f"kubectl config delete-context {quote(added)}", lambda: _remove_context(added))
            try:
                context = add_lab_context(info.kubeconfig)
            except LabFailed:
                undo.forget()
                raise
            say(f"context {context} is in your kubeconfig: egressctl verify --context {quote(context)}")
        print(f"export KUBECONFIG={info.kubeconfig}", flush=True)
        undo.keep()
        interrupts.commit()
    return 0


def status(name: _NAME = "default") -> int:
    """Show whether the lab runs.

    It prints the lab's policy and processes. It ends with 1 if the lab does not run.
    """
    from egressctl.lab import control  # imported late: 10 ms

    found = control.status(name)
    if found is None:
        print(f"lab {name} does not run")
        return 1
    print(f"lab {name} runs")
    print(f"policy      {found.policy}")
    print(f"API server  {found.address}")
    print(f"kubeconfig  {found.kubeconfig}")
    if found.ipv6:
        print("families    IPv4 and IPv6")
    for around in (*found.excluded.networks, *(f"port {port}" for port in found.excluded.ports)):
        print(f"excluded    {around}")
    for role, pid in found.pids.items():
        print(f"process     {role} {pid}")
    return 0


def exec_(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", show_default=False)],
    name: _NAME = "default",
) -> int:
    """Run a command in the lab's pod, and end with its exit code."""
    import subprocess  # imported late: 11 ms

    from egressctl.lab import control

    argv, environment = control.exec_argv(name, command)
    with subprocess.Popen(argv, env=environment) as running:
        while True:
            try:
                code = running.wait()
            except Interrupted as stop:
                # What runs in the pod is to hear it: it would outlive this process otherwise.
                control.signal_exec(running.pid, stop.signum)
            else:
                # By a signal, as a shell counts it; a reader that has gone is no failure of any command.
                return 0 if code == -signal.SIGPIPE else code if code >= 0 else 128 - code


def logs(
    which: Annotated[str, typer.Argument(metavar="[access|envoy|lab]", help="Which log.")] = "access",
    name: _NAME = "default",
) -> int:
    """Print one of the lab's logs.

    `access` is Envoy's access log, `envoy` Envoy's own, `lab` the lab's.
    """
    from egressctl.lab import control  # imported late: 11 ms
    from egressctl.runtime.sanitize import neutralise

    found = control.logs(name)
    if which not in found:
        raise LabFailed(f"the lab has no log {which}", hint="one of " + ", ".join(found))
    with found[which].open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            print(neutralise(line.rstrip("\n")))
    return 0


def policy(
    value: Annotated[str, typer.Argument(metavar="REGISTRY_ONLY|ALLOW_ANY", show_default=False)],
    name: _NAME = "default",
) -> int:
    """Change the outbound traffic policy while the lab runs."""
    from egressctl.lab import control  # imported late: 10 ms

    control.set_policy(name, value)
    print(f"lab {name} policy {value}")
    return 0


def stall(name: _NAME = "default") -> int:
    """Stop the control plane from sending changes.

    The sidecar keeps its configuration, whatever you change, until `resume`.
    """
    from egressctl.lab import control  # imported late: 10 ms

    control.stall(name)
    print(f"lab {name} control plane stalled")
    return 0


def resume(name: _NAME = "default") -> int:
    """Let the control plane send changes again.

    It returns when the sidecar has the changes that had to wait.
    """
    from egressctl.lab import control  # imported late: 10 ms

    control.resume(name)
    print(f"lab {name} control plane resumed")
    return 0


def restart_proxy(name: _NAME = "default") -> int:
    """Stop the sidecar's Envoy and start it again.

    Its configuration is as before; its counters start from zero.
    """
    from egressctl.lab import control  # imported late: 10 ms

    control.restart_proxy(name)
    print(f"lab {name} proxy restarted")
    return 0


def down(
    context: typer.Context,
    name: _NAME = "default",
    all_of_them: Annotated[bool, typer.Option("--all", help="Every lab that `egressctl lab list` shows.")] = False,
) -> int:
    """Stop the lab and delete everything that it made.

    It also removes what is left of a lab that did not start or end properly.
    """
    from egressctl.lab import control  # imported late: 22 ms
    from egressctl.lab.state import context_name

    if not all_of_them:
        ran = control.down(name)
        _remove_context(context_name(name))
        print(f"lab {name} {'is down' if ran else 'did not run'}")
        return 0
    if str(context.get_parameter_source("name")).endswith("COMMANDLINE"):
        raise InvalidInput("--all and --name do not go together: --all stops every lab", hint=f"egressctl lab down --name {name}")
    stopped = False
    for each in control.down_all():
        stopped = True
        _remove_context(context_name(each))
        print(f"lab {each} is down", flush=True)
    if not stopped:
        print("there is no lab")
    return 0


def _remove_context(context: str) -> None:
    from egressctl.lab.kubeconfig import remove_lab_context  # imported late: 15 ms

    remove_lab_context(context)
