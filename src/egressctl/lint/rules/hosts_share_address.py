"""Several hosts share addresses and a port that is not HTTP: only one of them can work.

    hosts: [www.wikipedia.org, m.wikipedia.org]
    addresses: [208.80.154.224]
    ports: [{number: 443, name: tls, protocol: TLS}]
    resolution: DNS

Write one entry for each host, or remove the addresses.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.HOSTS_SHARE_ADDRESS, __doc__, "one host an entry")
