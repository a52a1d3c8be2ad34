"""A port's name is not a DNS label.

    ports: [{number: 443, name: tcp_port, protocol: TCP}]

Use letters, digits and hyphens, with a letter or digit at both ends: `tcp-port`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(
    Mistake.INVALID_PORT_NAME, __doc__, "letters, digits and inner hyphens, at most 63 (62 under endpoints)", BY_WEBHOOK
)
