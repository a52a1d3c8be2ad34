"""ExportTo names what is no namespace, names one twice, or contradicts itself.

    exportTo: ["*", shop]

Write `"."` for the entry's own namespace, names of others beside it, or `"*"` alone for all; `"~"` alone is nobody. A name
stands there once, and the own namespace is the same as `"."`.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_WEBHOOK, refused

RULE = refused(Mistake.INVALID_EXPORT, __doc__, 'namespaces, or ".", or "*" alone', BY_WEBHOOK)
