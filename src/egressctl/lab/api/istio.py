"""The schemas of Istio's CustomResourceDefinitions that the lab serves.

ServiceEntry's follows `kubernetes/customresourcedefinitions.gen.yaml` of istio/api (1.28 and later),
fields, limits and rules. The others keep whatever they are given.
"""

from __future__ import annotations

import re
from typing import Any

from egressctl.lab.api.schema import OPEN, STRING, STRING_MAP, STRINGS, Rule, Schema, kind, record
from egressctl.lab.api.status import Object

UINT32 = 4294967295

_PORT_NUMBER = Schema(
    "integer",
    minimum=0,
    maximum=UINT32,
    rules=(Rule("port must be between 1-65535", lambda number: bool(0 < number <= 65535)),),
)


def _text(limit: int) -> Schema:
    return Schema("string", max_length=limit)


def _unique_numbers(ports: list[Object]) -> bool:
    numbers = [port.get("number") for port in ports]
    return len(numbers) == len(set(numbers))


def _socket_is_a_path(address: str) -> bool:
    return not address.startswith("unix://") or address[7:8] in ("/", "@")


def _socket_is_no_folder(address: str) -> bool:
    return not (address.startswith("unix://") and address.endswith("/"))


_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")

_ENDPOINT = record(
    {
        "address": Schema(
            "string",
            max_length=256,
            rules=(
                Rule("UDS must be an absolute path or abstract socket", _socket_is_a_path),
                Rule("UDS may not be a dir", _socket_is_no_folder),
            ),
        ),
        "labels": Schema("object", additional=STRING, max_properties=256),
        "locality": _text(2048),
        "network": _text(2048),
        "ports": Schema(
            "object",
            additional=_PORT_NUMBER,
            max_properties=128,
            rules=(
                Rule(
                    "port name must be valid",
                    lambda ports: all(len(name) < 63 and _PORT_NAME.fullmatch(name) for name in ports),
                ),
            ),
        ),
        "serviceAccount": _text(253),
        "weight": Schema("integer", minimum=0, maximum=UINT32),
    },
    rules=(
        Rule("Address is required", lambda endpoint: "address" in endpoint or "network" in endpoint),
        Rule(
            "UDS may not include ports",
            lambda endpoint: not (endpoint.get("address", "").startswith("unix://") and "ports" in endpoint),
        ),
    ),
)


def _resolution(spec: Object) -> str:
    return str(spec.get("resolution", "NONE"))


def _cidr_fits(spec: Object) -> bool:
    return _resolution(spec) in ("NONE", "STATIC") or not any("/" in address for address in spec.get("addresses", []))


SERVICE_ENTRY = record(
    {
        "addresses": Schema("array", items=_text(64), max_items=256),
        "endpoints": Schema("array", items=_ENDPOINT, max_items=4096),
        "exportTo": STRINGS,
        "hosts": Schema(
            "array",
            items=Schema("string", rules=(Rule("hostname cannot be wildcard", lambda host: bool(host != "*")),)),
            min_items=1,
            max_items=256,
        ),
        "location": Schema("string", enum=("MESH_EXTERNAL", "MESH_INTERNAL")),
        "ports": Schema(
            "array",
            items=record(
                {"name": _text(256), "number": _PORT_NUMBER, "protocol": _text(256), "targetPort": _PORT_NUMBER},
                required=("number", "name"),
            ),
            keys=("name",),
            max_items=256,
            rules=(Rule("port number cannot be duplicated", _unique_numbers),),
        ),
        "resolution": Schema("string", enum=("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")),
        "subjectAltNames": STRINGS,
        "workloadSelector": record(
            {
                "labels": Schema(
                    "object",
                    additional=Schema(
                        "string",
                        max_length=63,
                        rules=(Rule("wildcard is not supported in selector", lambda label: "*" not in label),),
                    ),
                    max_properties=256,
                )
            }
        ),
    },
    required=("hosts",),
    rules=(
        Rule(
            "only one of WorkloadSelector or Endpoints can be set",
            lambda spec: not ("workloadSelector" in spec and "endpoints" in spec),
        ),
        Rule("CIDR addresses are allowed only for NONE/STATIC resolution types", _cidr_fits),
        Rule("NONE mode cannot set endpoints", lambda spec: _resolution(spec) != "NONE" or "endpoints" not in spec),
        Rule(
            "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
            lambda spec: _resolution(spec) != "DNS_ROUND_ROBIN" or len(spec.get("endpoints", [])) <= 1,
        ),
    ),
)

SERVICE_ENTRY_KIND = kind(SERVICE_ENTRY, spec_required=True)

SIDECAR_KIND = kind(Schema("object", properties={"workloadSelector": record({"labels": STRING_MAP})}, open=True))
OPEN_KIND = kind(OPEN)


def warnings(service_entry: Object) -> list[str]:
    """Return what istiod's webhook warns of in a ServiceEntry that it accepts."""
    spec: dict[str, Any] = service_entry.get("spec", {})
    found = []
    unset_or_tcp = any(port.get("protocol", "") in ("", "TCP") for port in spec.get("ports", []))
    if _resolution(spec) == "NONE" and unset_or_tcp and not spec.get("addresses"):
        found.append("addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled")
    if _resolution(spec) == "NONE" and "workloadSelector" in spec:
        found.append("workloadSelector should not be set when resolution mode is NONE")
    for host in spec.get("hosts", []):
        if host.startswith("*") and not host.startswith("*."):
            found.append(f'partial wildcard "{host}" not allowed')
    return found
