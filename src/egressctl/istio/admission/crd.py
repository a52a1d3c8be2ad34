"""The schema of Istio's CustomResourceDefinition for ServiceEntries, as data, with its CEL rules as functions.

From `kubernetes/customresourcedefinitions.gen.yaml` of istio/api 1.31, the same for v1, v1beta1 and v1alpha3. Versions
before 1.28 do not have DYNAMIC_DNS; else what they refuse is refused here as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.schema import STRING, STRINGS, CelRule, Schema, kind_schema, object_schema
from egressctl.manifests.formats import LOCATIONS, MAX_ITEMS, RESOLUTIONS

UINT32 = 4294967295
UNIX_SOCKET_PREFIX = "unix://"

_Object = Mapping[str, Any]
_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")


def _text_of_at_most(limit: int) -> Schema:
    return Schema("string", max_length=limit)


def _port_numbers_are_unique(ports: Sequence[_Object]) -> bool:
    numbers = [port.get("number") for port in ports]
    return len(numbers) == len(set(numbers))


def _socket_is_a_path(address: str) -> bool:
    return not address.startswith(UNIX_SOCKET_PREFIX) or address[7:8] in ("/", "@")


def _socket_is_no_folder(address: str) -> bool:
    return not (address.startswith(UNIX_SOCKET_PREFIX) and address.endswith("/"))


def _port_names_are_valid(ports: _Object) -> bool:
    return all(len(name) < 63 and _PORT_NAME.fullmatch(name) for name in ports)


def _socket_has_no_ports(endpoint: _Object) -> bool:
    return not (endpoint.get("address", "").startswith(UNIX_SOCKET_PREFIX) and "ports" in endpoint)


def _resolution(spec: _Object) -> str:
    return str(spec.get("resolution", "NONE"))


def _cidr_fits_resolution(spec: _Object) -> bool:
    return _resolution(spec) in ("NONE", "STATIC") or not any("/" in address for address in spec.get("addresses", ()))


_PORT_NUMBER = Schema(
    "integer",
    minimum=0,
    maximum=UINT32,
    rules=(
        CelRule(
            "port must be between 1-65535",
            lambda number: bool(0 < number <= 65535),
            "0 < self && self <= 65535",
            Mistake.INVALID_PORT_NUMBER,
        ),
    ),
)

_ENDPOINT = object_schema(
    {
        "address": Schema(
            "string",
            max_length=256,
            rules=(
                CelRule(
                    "UDS must be an absolute path or abstract socket",
                    _socket_is_a_path,
                    'self.startsWith("unix://") ? (self.substring(7, 8) == "/" || self.substring(7, 8) == "@") : true',
                    Mistake.INVALID_ENDPOINT,
                ),
                CelRule(
                    "UDS may not be a dir",
                    _socket_is_no_folder,
                    'self.startsWith("unix://") ? !self.endsWith("/") : true',
                    Mistake.INVALID_ENDPOINT,
                ),
            ),
        ),
        "labels": Schema("object", additional=STRING, max_properties=256),
        "locality": _text_of_at_most(2048),
        "network": _text_of_at_most(2048),
        "ports": Schema(
            "object",
            additional=_PORT_NUMBER,
            max_properties=128,
            rules=(
                CelRule(
                    "port name must be valid",
                    _port_names_are_valid,
                    'self.all(key, size(key) < 63 && key.matches("^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$"))',
                    Mistake.INVALID_PORT_NAME,
                ),
            ),
        ),
        "serviceAccount": _text_of_at_most(253),
        "weight": Schema("integer", minimum=0, maximum=UINT32),
    },
    rules=(
        CelRule(
            "Address is required",
            lambda endpoint: "address" in endpoint or "network" in endpoint,
            "has(self.address) || has(self.network)",
            Mistake.INVALID_ENDPOINT,
        ),
        CelRule(
            "UDS may not include ports",
            _socket_has_no_ports,
            '(has(self.address) ? self.address : "").startsWith("unix://") ? !has(self.ports) : true',
            Mistake.INVALID_ENDPOINT,
        ),
    ),
)

SPEC = object_schema(
    {
        "addresses": Schema("array", items=_text_of_at_most(64), max_items=MAX_ITEMS),
        "endpoints": Schema("array", items=_ENDPOINT, max_items=4096),
        "exportTo": STRINGS,
        "hosts": Schema(
            "array",
            items=Schema(
                "string",
                rules=(
                    CelRule("hostname cannot be wildcard", lambda host: bool(host != "*"), 'self != "*"', Mistake.INVALID_HOST),
                ),
            ),
            min_items=1,
            max_items=MAX_ITEMS,
        ),
        "location": Schema("string", enum=LOCATIONS),
        "ports": Schema(
            "array",
            items=object_schema(
                {
                    "name": _text_of_at_most(256),
                    "number": _PORT_NUMBER,
                    "protocol": _text_of_at_most(256),
                    "targetPort": _PORT_NUMBER,
                },
                required=("number", "name"),
            ),
            keys=("name",),
            max_items=256,
            rules=(
                CelRule(
                    "port number cannot be duplicated",
                    _port_numbers_are_unique,
                    "self.all(l1, self.exists_one(l2, l1.number == l2.number))",
                    Mistake.DUPLICATE_PORT,
                ),
            ),
        ),
        "resolution": Schema("string", enum=RESOLUTIONS),
        "subjectAltNames": STRINGS,
        "workloadSelector": object_schema(
            {
                "labels": Schema(
                    "object",
                    additional=Schema(
                        "string",
                        max_length=63,
                        rules=(
                            CelRule(
                                "wildcard is not supported in selector",
                                lambda label: "*" not in label,
                                '!self.contains("*")',
                                Mistake.INVALID_SELECTOR,
                            ),
                        ),
                    ),
                    max_properties=256,
                )
            }
        ),
    },
    required=("hosts",),
    rules=(
        CelRule(
            "only one of WorkloadSelector or Endpoints can be set",
            lambda spec: not ("workloadSelector" in spec and "endpoints" in spec),
            "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1",
            Mistake.SELECTOR_AND_ENDPOINTS,
        ),
        CelRule(
            "CIDR addresses are allowed only for NONE/STATIC resolution types",
            _cidr_fits_resolution,
            '!((has(self.addresses) ? self.addresses : []).exists(k, k.contains("/")) && '
            '!((has(self.resolution) ? self.resolution : "NONE") in ["STATIC", "NONE"]))',
            Mistake.CIDR_WITH_RESOLUTION,
        ),
        CelRule(
            "NONE mode cannot set endpoints",
            lambda spec: _resolution(spec) != "NONE" or "endpoints" not in spec,
            '((has(self.resolution) ? self.resolution : "NONE") == "NONE") ? !has(self.endpoints) : true',
            Mistake.ENDPOINTS_WITH_RESOLUTION,
        ),
        CelRule(
            "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
            lambda spec: _resolution(spec) != "DNS_ROUND_ROBIN" or len(spec.get("endpoints", ())) <= 1,
            '((has(self.resolution) ? self.resolution : "") == "DNS_ROUND_ROBIN") ? '
            "((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true",
            Mistake.ENDPOINTS_WITH_RESOLUTION,
        ),
    ),
)

_STATUS = Schema(
    "object",
    open=True,
    properties={
        "conditions": Schema(
            "array",
            items=object_schema(
                {
                    **dict.fromkeys(("lastProbeTime", "lastTransitionTime", "message", "reason", "status", "type"), STRING),
                    "observedGeneration": STRING,
                }
            ),
        ),
        "observedGeneration": STRING,
        "validationMessages": Schema(
            "array",
            items=object_schema(
                {"documentationUrl": STRING, "level": STRING, "type": object_schema({"code": STRING, "name": STRING})}
            ),
        ),
    },
)
"""Only which fields there are: what a client sends as status is dropped before anything else is asked of it."""

SERVICE_ENTRY = kind_schema(SPEC, status=_STATUS, spec_required=True)
"""The whole object."""
