"""An endpoint has a network and no address: its traffic goes to the gateway of that network.

The endpoint is then the gateway of that network.

    resolution: STATIC
    endpoints: [{network: east}]

Give the endpoint its `address`, unless the gateway is what you mean.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.ENDPOINT_BY_NETWORK, __doc__, "give the endpoint an address")
