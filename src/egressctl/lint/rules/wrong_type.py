"""A value of another type than the field's.

    ports: [{number: "443", name: tls, protocol: TLS}]

Write numbers without quotes and without a fraction, text that looks like a number in quotes, and lists in brackets or with a
dash before each item, also where there is one item only.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.WRONG_TYPE, __doc__, "text in quotes, numbers without", BY_DEFINITION)
