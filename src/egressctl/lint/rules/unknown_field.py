"""A field that a ServiceEntry does not have.

The API server refuses the entry when it reads it, as `kubectl apply` asks it to (`fieldValidation=Strict`).

    adresses: [203.0.113.0/28]

Correct the name, its case, or its place: `addresses` stands beside `hosts`, `number` within a port. Without strict
validation the field is dropped without effect, and the entry then says less than you think.
"""

from egressctl.istio.admission import crd
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.schema import Schema
from egressctl.lint.rule import refused
from egressctl.manifests.yaml_reader import ValuePath


def nearest_field(path: ValuePath) -> str:
    """Offer the known field that is spelt most like an unknown one."""
    import difflib  # imported late: 2 ms

    schema: Schema | None = crd.SERVICE_ENTRY
    for step in path[:-1]:
        schema = schema and (schema.items if isinstance(step, int) else schema.child(step))
    known = {name.lower(): name for name in (schema.properties if schema else ())}
    near = difflib.get_close_matches(str(path[-1]).lower(), known, 1)
    if near:
        return f"did you mean {known[near[0]]}?"
    return f"known here: {', '.join(known.values())}" if known else "look for a mistake in its name or its place"


RULE = refused(Mistake.UNKNOWN_FIELD, __doc__, nearest_field)
