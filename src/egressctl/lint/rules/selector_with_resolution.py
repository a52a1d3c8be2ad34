"""The entry has a workloadSelector, but its resolution does not use it.

With NONE connections go where the application sends them, and nothing is selected.

    workloadSelector: {labels: {app: db}}

Use `resolution: STATIC`, or remove the selector.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.SELECTOR_WITH_RESOLUTION, __doc__, "resolution STATIC, or no workloadSelector")
