"""A workloadSelector has no labels, so it does not select the right pods.

    resolution: STATIC
    workloadSelector: {}

Give the selector the labels of the pods that you want.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.SELECTOR_WITHOUT_LABELS, __doc__, "give it labels")
