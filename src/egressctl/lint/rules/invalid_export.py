"""`exportTo` names something that is not a namespace, names a namespace twice, or contradicts itself.

    exportTo: ["*", shop]

Write `"."` for the entry's own namespace, with or without names of others, or `"*"` alone for all; `"~"` alone is nobody. Write a
name once. The name of the entry's own namespace is the same as `"."`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_EXPORT, __doc__, 'namespaces, or ".", or "*" alone', BY_WEBHOOK)
