"""A host is not a DNS name, and not a wildcard that Istio accepts.

    hosts: [https://www.wikipedia.org]

Write only the name: no scheme, no port, no path, no underscore, no address. A wildcard is the first label, or begins it. `*`
alone is not allowed.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_HOST, __doc__, "a DNS name such as www.wikipedia.org or *.wikipedia.org", BY_WEBHOOK)
