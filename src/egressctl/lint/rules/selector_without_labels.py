"""A workloadSelector without labels selects nothing that is meant.

    resolution: STATIC
    workloadSelector: {}

Give the selector the labels of the pods that are meant.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.SELECTOR_WITHOUT_LABELS, __doc__, "give it labels")
