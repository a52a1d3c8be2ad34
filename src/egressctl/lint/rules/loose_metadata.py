"""The metadata has something that Kubernetes accepts today, but may refuse later.

This is so for objects of every kind.

    metadata: {name: shop-db, namespace: shop, finalizers: [mine]}

Give a finalizer a domain, that of the program that removes it: `example.com/mine`. Name each owner once.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import warned_of

RULE = warned_of(Mistake.LOOSE_METADATA, __doc__, "finalizers with a domain, each owner once")
