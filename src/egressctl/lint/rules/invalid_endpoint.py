"""An endpoint's address, socket or label is not valid.

    resolution: STATIC
    endpoints: [{address: db1.example.com}]

With STATIC an endpoint is an IP address, or a socket such as `unix:///var/run/db.sock` if the entry has one port. With DNS it
is a name or an address. It needs an `address`, or a `network` with STATIC. Its labels follow the rules of a pod's labels.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_ENDPOINT, __doc__, "an IP address for STATIC, a DNS name or an address for DNS", BY_WEBHOOK)
