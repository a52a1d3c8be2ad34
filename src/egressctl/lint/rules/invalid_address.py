"""An item of `addresses` is not an address and not a block.

    addresses: [208.80.154.224/33, 91.198.174.192 - 91.198.174.223]

Write addresses and blocks: no names, no ranges, no blanks, no leading zeros. Names go under `hosts`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_ADDRESS, __doc__, "such as 203.0.113.7, 198.51.100.0/24 or 2001:db8::/32", BY_WEBHOOK)
