"""Endpoints do not go with the resolution.

    endpoints: [{address: 208.80.154.224}]

Without `resolution` it is NONE, and connections go where the application sends them: no endpoints then, not even an empty
list. Write `resolution: STATIC` for addresses, `DNS` for names; `DNS_ROUND_ROBIN` takes one endpoint.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(
    Mistake.ENDPOINTS_WITH_RESOLUTION,
    __doc__,
    "none with NONE, at most one with DNS_ROUND_ROBIN, else STATIC or DNS",
    BY_DEFINITION,
)
