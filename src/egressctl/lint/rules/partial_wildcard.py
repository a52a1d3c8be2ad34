"""A wildcard that stands for a part of a label.

Envoy knows no wildcard within a label of a server name.

    hosts: ["*pedia.org"]

Let the wildcard stand for the whole first label, `*.wikipedia.org`, and name what else there is.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.PARTIAL_WILDCARD, __doc__, "a wildcard for the whole first label, such as *.wikipedia.org")
