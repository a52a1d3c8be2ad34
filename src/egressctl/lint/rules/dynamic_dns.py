"""Resolution DYNAMIC_DNS has hosts, addresses, endpoints, ports or a location that do not go with it.

    hosts: ["*.wikipedia.org"]
    addresses:
    ports: [{number: 443, name: https, protocol: HTTPS}]
    resolution: DYNAMIC_DNS

The sidecar takes the name from the request: from `Host`, or from the TLS handshake. So the hosts are wildcards, the protocol
is HTTP, HTTP2, GRPC or TLS, and there are neither `addresses` nor `endpoints`. With a waypoint the location is
MESH_EXTERNAL.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(
    Mistake.DYNAMIC_DNS,
    __doc__,
    "wildcard hosts only, no addresses, no endpoints, and protocol HTTP, HTTP2, GRPC or TLS",
    BY_WEBHOOK,
)
