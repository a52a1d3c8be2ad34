"""The field does not allow this value.

    resolution: dns

Write one of the values that the message lists, in capitals. `DYNAMIC_DNS` came with Istio 1.28.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.UNKNOWN_VALUE, __doc__, "one of the values listed, in capitals", BY_DEFINITION)
