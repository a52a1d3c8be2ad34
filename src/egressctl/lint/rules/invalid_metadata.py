"""The metadata is not valid for any Kubernetes object.

The API server refuses such metadata in objects of every kind.

    metadata: {name: Shop_DB, namespace: shop}

A name has lower-case letters, digits, `-` and `.`. A label's value has letters, digits, `-`, `_` and `.`, at most 63. Values of
labels and annotations are text: put them in quotes if they look like numbers.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import refused

RULE = refused(Mistake.INVALID_METADATA, __doc__, "names, labels and annotations have rules of their own")
