"""Istio does not know a port's protocol.

    ports: [{number: 443, name: quic, protocol: QUIC}]

Write a protocol that Istio knows, in capital or small letters. Sidecars do not route UDP, and so no QUIC.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(
    Mistake.UNKNOWN_PROTOCOL, __doc__, "TCP, TLS, HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, MYSQL, REDIS or UDP", BY_WEBHOOK
)
