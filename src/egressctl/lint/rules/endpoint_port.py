"""An endpoint names a port that the entry does not have.

    addresses: [198.51.100.7]
    ports: [{number: 3306, name: mysql, protocol: MYSQL}]
    resolution: DNS
    endpoints: [{address: db1.example.com, ports: {db: 3307}}]

Use the name of one of the entry's ports, here `mysql`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.ENDPOINT_PORT, __doc__, "a name of one of the entry's ports", BY_WEBHOOK)
