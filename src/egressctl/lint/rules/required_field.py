"""A field that has to be there is missing or empty.

    ports: [{number: 443, protocol: TLS}]

An entry needs `spec` and at least one of `hosts`; a port needs `number` and `name`. A field whose value is empty is not
there.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.REQUIRED_FIELD, __doc__, "write it out", BY_DEFINITION)
