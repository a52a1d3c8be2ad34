"""A workloadSelector has a wildcard or an empty key.

    resolution: STATIC
    workloadSelector: {labels: {app: "*"}}

A selector compares whole values. Write the labels that the pods have.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.INVALID_SELECTOR, __doc__, "write the labels of the pods out, or leave the selector out", BY_DEFINITION)
