"""Endpoints and a workloadSelector, and only one may be there.

    resolution: STATIC
    endpoints: [{address: 192.0.2.7}]
    workloadSelector: {labels: {app: db}}

A selector finds the endpoints among pods and WorkloadEntries; a list names them. Keep the one that you mean.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.SELECTOR_AND_ENDPOINTS, __doc__, "keep one of the two", BY_DEFINITION)
