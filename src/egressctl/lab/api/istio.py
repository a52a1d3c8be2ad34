"""The schemas of Istio's CustomResourceDefinitions that the lab serves, and what istiod's webhook warns of.

Sidecar's has the one field that the lab reads; the others keep whatever they are given.
"""

from __future__ import annotations

from egressctl.istio.admission.crd import SERVICE_ENTRY
from egressctl.istio.admission.schema import OPEN, STRING_MAP, Schema, kind_schema, object_schema
from egressctl.istio.admission.webhook import validate_service_entry
from egressctl.lab.api.status import Object

SERVICE_ENTRY_KIND = SERVICE_ENTRY
SIDECAR_KIND = kind_schema(Schema("object", properties={"workloadSelector": object_schema({"labels": STRING_MAP})}, open=True))
OPEN_KIND = kind_schema(OPEN)


def service_entry_warnings(service_entry: Object) -> list[str]:
    """Return what istiod's webhook warns of in a ServiceEntry that it accepts."""
    return list(dict.fromkeys(each.message for each in validate_service_entry(service_entry).warnings))
