"""Several hosts share a port that is not HTTP or TLS, and the resolution is not NONE.

    hosts: [db.example.com, db2.example.com]
    addresses: [198.51.100.7]
    ports: [{number: 3306, name: mysql, protocol: MYSQL}]
    resolution: DNS

A connection to such a port does not say which host it is for. Write one entry for each host. Or declare `TLS` or `HTTP`, if the
client speaks it: a port without a protocol counts as neither.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.SEVERAL_HOSTS, __doc__, "one host an entry, protocol TLS or HTTP, or resolution NONE", BY_WEBHOOK)
