"""The resolution does not allow these endpoints.

    endpoints: [{address: 208.80.154.224}]

Without `resolution` it is NONE: connections go where the application sends them. Then remove the endpoints, also an empty list.
Write `resolution: STATIC` for addresses, `DNS` for names. `DNS_ROUND_ROBIN` takes one endpoint.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(
    Mistake.ENDPOINTS_WITH_RESOLUTION,
    __doc__,
    "none with NONE, at most one with DNS_ROUND_ROBIN, else STATIC or DNS",
    BY_DEFINITION,
)
