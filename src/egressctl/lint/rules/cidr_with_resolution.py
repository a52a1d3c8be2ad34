"""Addresses hold a block, and the resolution is neither NONE nor STATIC.

    resolution: DNS

With DNS the sidecar looks the address up itself: leave the block out. For a service that is known by its blocks, use
`resolution: NONE`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.CIDR_WITH_RESOLUTION, __doc__, "plain addresses, or resolution NONE or STATIC", BY_DEFINITION)
