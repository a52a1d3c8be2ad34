"""An annotation makes Istio refuse the entry.

    metadata: {name: shop-db, namespace: shop, annotations: {istio.io/dry-run: "true"}}

Remove the annotation. `istio.io/dry-run` is for an AuthorizationPolicy; to try an entry without keeping it, use `kubectl
apply --dry-run=server`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_ANNOTATION, __doc__, "take the annotation out", BY_WEBHOOK)
