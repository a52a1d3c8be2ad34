"""Resolution DYNAMIC_DNS does not allow these hosts, addresses, endpoints, ports or this location.

    hosts: ["*.wikipedia.org"]
    addresses:
    ports: [{number: 443, name: https, protocol: HTTPS}]
    resolution: DYNAMIC_DNS

The sidecar takes the name from the request: from `Host`, or from the TLS handshake. So the hosts must be wildcards, the protocol
HTTP, HTTP2, GRPC or TLS, and `addresses` and `endpoints` must be empty. With a waypoint the location must be MESH_EXTERNAL.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(
    Mistake.DYNAMIC_DNS,
    __doc__,
    "wildcard hosts only, no addresses, no endpoints, and protocol HTTP, HTTP2, GRPC or TLS",
    BY_WEBHOOK,
)
