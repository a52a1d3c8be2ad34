"""A workloadSelector with a resolution that does not use it.

With NONE connections go where the application sends them, and nothing is selected.

    workloadSelector: {labels: {app: db}}

Use `resolution: STATIC`, or leave the selector out.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.SELECTOR_WITH_RESOLUTION, __doc__, "resolution STATIC, or no workloadSelector")
