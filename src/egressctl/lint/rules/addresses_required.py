"""A port of protocol TCP, or of none, has no addresses: it takes the port of every address.

It is no more than a hint, and a TCP port without addresses is an open door: its listener takes every address of the port, in
REGISTRY_ONLY as well. istiod looks at the exact word `TCP`, so `tcp` opens the same door without a warning. With another
resolution Istio allocates an address, unless the label `networking.istio.io/enable-autoallocate-ip` is `"false"`.

    addresses:

List the `addresses` of the service, or say `TLS` where TLS is spoken: then the name in the handshake decides.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.ADDRESSES_REQUIRED, __doc__, "list the addresses")
