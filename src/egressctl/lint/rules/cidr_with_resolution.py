"""The addresses contain a block, but the resolution is not NONE or STATIC.

    resolution: DNS

With DNS the sidecar resolves the address itself: remove the block. If you know the service by its blocks, use
`resolution: NONE`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.CIDR_WITH_RESOLUTION, __doc__, "plain addresses, or resolution NONE or STATIC", BY_DEFINITION)
