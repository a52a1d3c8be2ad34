"""A text is too long for the field, or a list has too many items.

    addresses: [208.80.154.224/27 of eqiad and everything that belongs to it there]

An entry can have 256 hosts, 256 addresses, 256 ports and 4,096 endpoints; an address 64 characters, a port's name 256. Split
longer lists over several entries.
"""

from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.rule import BY_DEFINITION, refused

RULE = refused(Mistake.TOO_MUCH, __doc__, "spread it over several ServiceEntries", BY_DEFINITION)
