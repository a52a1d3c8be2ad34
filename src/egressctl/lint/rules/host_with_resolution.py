"""A host cannot be resolved, but resolution DNS must resolve it.

    hosts: ["*.wikipedia.org"]
    addresses:
    ports: [{number: 443, name: tls, protocol: TLS}]
    resolution: DNS

The sidecar must resolve the name, and a wildcard is not a name. List the hosts one by one, list `endpoints` that can be
resolved, or use `resolution: NONE`. The message says that prefix wildcards are allowed, but they are refused too.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.HOST_WITH_RESOLUTION, __doc__, "name the host without a wildcard, or list endpoints", BY_WEBHOOK)
