"""The metadata holds what Kubernetes takes for now.

It does so for every kind.

    metadata: {name: shop-db, namespace: shop, finalizers: [mine]}

Give a finalizer the domain of what removes it, `example.com/mine`, and name an owner once.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.LOOSE_METADATA, __doc__, "finalizers with a domain, each owner once")
