"""A host is no DNS name, and no wildcard that Istio takes.

    hosts: [https://www.wikipedia.org]

Write the name alone: no scheme, no port, no path, no underscore, no address. A wildcard stands for the first label or begins
it, and `*` alone names nothing.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_HOST, __doc__, "a DNS name such as www.wikipedia.org or *.wikipedia.org", BY_WEBHOOK)
