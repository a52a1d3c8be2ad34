"""Two ports have the same name or the same number.

    ports:
    - {number: 443, name: tls, protocol: TLS}
    - {number: 443, name: tls-2, protocol: TLS}

Keep one of them. A port has one protocol for all hosts of an entry. A host with another protocol needs its own entry.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.DUPLICATE_PORT, __doc__, "one port of each name and number", BY_DEFINITION)
