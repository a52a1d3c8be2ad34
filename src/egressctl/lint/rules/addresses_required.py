"""A port of protocol TCP, or without a protocol, has no addresses: it takes this port of every address.

Istio only warns, but a TCP port without addresses is an open door: its listener takes the port of every address, also in
REGISTRY_ONLY. istiod looks for the exact word `TCP`, so `tcp` opens the same door without a warning. With another resolution
Istio allocates an address, unless the label `networking.istio.io/enable-autoallocate-ip` is `"false"`.

    addresses:

List the `addresses` of the service. Or write `TLS` if the client speaks TLS: then the name in the handshake decides.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.ADDRESSES_REQUIRED, __doc__, "list the addresses")
