"""A number is outside the field's range.

    resolution: STATIC
    endpoints: [{address: 208.80.154.224, weight: -1}]

Write a weight of 0 or more, or remove it.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.OUT_OF_RANGE, __doc__, "a number from 0 to 4294967295", BY_DEFINITION)
