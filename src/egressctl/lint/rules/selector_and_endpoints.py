"""The entry has endpoints and a workloadSelector, but only one of them is allowed.

    resolution: STATIC
    endpoints: [{address: 192.0.2.7}]
    workloadSelector: {labels: {app: db}}

A selector finds the endpoints among pods and WorkloadEntries; a list names them. Keep the one that you need.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.SELECTOR_AND_ENDPOINTS, __doc__, "keep one of the two", BY_DEFINITION)
