"""An endpoint has a network but no address: its traffic goes to the gateway of that network.

The endpoint is then the gateway of that network.

    resolution: STATIC
    endpoints: [{network: east}]

Give the endpoint its `address`, unless you want the gateway.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.ENDPOINT_BY_NETWORK, __doc__, "give the endpoint an address")
