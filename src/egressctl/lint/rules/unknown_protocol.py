"""A port's protocol is none that Istio knows.

    ports: [{number: 443, name: quic, protocol: QUIC}]

Write a protocol that Istio knows, in any case. Sidecars carry no UDP, and so no QUIC.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(
    Mistake.UNKNOWN_PROTOCOL, __doc__, "TCP, TLS, HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, MYSQL, REDIS or UDP", BY_WEBHOOK
)
