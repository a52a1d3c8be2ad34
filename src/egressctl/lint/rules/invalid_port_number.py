"""A port's number is not between 1 and 65535.

    ports: [{number: 0, name: tls, protocol: TLS}]

Write a number from 1 to 65535 for `number`, for `targetPort` and for the ports of endpoints. No value means all ports.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.INVALID_PORT_NUMBER, __doc__, "a number from 1 to 65535, without a fraction", BY_DEFINITION)
