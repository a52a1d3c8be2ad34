"""A ServiceEntry does not have this field.

The API server refuses the entry, because `kubectl apply` asks for strict validation (`fieldValidation=Strict`).

    adresses: [203.0.113.0/28]

Correct the name, its case, or its place: `addresses` is next to `hosts`, `number` is inside a port. Without strict validation
Kubernetes drops the field, and the entry does less than you think.
"""

from egressctl.istio.admission import crd
from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import refused
from egressctl.manifests.problems import nearest_name
from egressctl.manifests.yaml_reader import ValuePath


def nearest_field(path: ValuePath) -> str:
    """Offer the known field that is spelt most like an unknown one."""
    above = crd.SERVICE_ENTRY.at(path[:-1])
    known = above.properties if above else ()
    return nearest_name(str(path[-1]), known) if known else "look for a mistake in its name or its place"


RULE = refused(Mistake.UNKNOWN_FIELD, __doc__, nearest_field)
