"""A required field is missing or empty.

    ports: [{number: 443, protocol: TLS}]

An entry needs `spec` and at least one host in `hosts`. A port needs `number` and `name`. A field with an empty value counts as
missing.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.REQUIRED_FIELD, __doc__, "write it out", BY_DEFINITION)
