"""A host cannot be resolved, as resolution DNS would have to.

    hosts: ["*.wikipedia.org"]
    addresses:
    ports: [{number: 443, name: tls, protocol: TLS}]
    resolution: DNS

The sidecar would have to resolve the name, and a wildcard is none. Name the hosts one by one, list `endpoints` that can be
resolved, or use `resolution: NONE`. In spite of the message, prefix wildcards are refused here as well.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.HOST_WITH_RESOLUTION, __doc__, "name the host without a wildcard, or list endpoints", BY_WEBHOOK)
