"""The metadata holds what Kubernetes accepts of no object.

The API server refuses such metadata in every object, whatever its kind.

    metadata: {name: Shop_DB, namespace: shop}

A name is made of lower-case letters, digits, `-` and `.`; a label's value of letters, digits, `-`, `_` and `.`, at most 63
of them; values of labels and annotations are text, in quotes where they look like numbers.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import refused

RULE = refused(Mistake.INVALID_METADATA, __doc__, "names, labels and annotations have rules of their own")
