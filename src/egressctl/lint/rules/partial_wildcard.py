"""A wildcard is only a part of a label.

Envoy has no wildcard inside a label of a server name.

    hosts: ["*pedia.org"]

Use the wildcard as the whole first label, `*.wikipedia.org`, and list other hosts by name.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.PARTIAL_WILDCARD, __doc__, "a wildcard for the whole first label, such as *.wikipedia.org")
