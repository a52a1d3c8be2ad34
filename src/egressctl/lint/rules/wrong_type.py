"""A value does not have the field's type.

    ports: [{number: "443", name: tls, protocol: TLS}]

Write numbers without quotes and without a fraction. Put text that looks like a number in quotes. Write lists in brackets, or with
a dash before each item, also for a single item.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.WRONG_TYPE, __doc__, "text in quotes, numbers without", BY_DEFINITION)
