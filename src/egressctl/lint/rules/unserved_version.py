"""Istio does not serve ServiceEntries in this apiVersion.

The API server does not know this version, and answers 404; kubectl says that it has `no matches for kind`.

    apiVersion: networking.istio.io/v2

Write `networking.istio.io/v1`. Istio before 1.22 serves `v1beta1` and `v1alpha3` only; later ones serve all three, with the
same fields.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import refused

RULE = refused(Mistake.UNSERVED_VERSION, __doc__, "networking.istio.io/v1, or v1beta1 or v1alpha3")
