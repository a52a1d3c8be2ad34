"""How long ago something was, as kubectl writes it."""

from __future__ import annotations


def age_text(seconds: float) -> str:
    """Write an age as kubectl does: 45s, 12m, 5h, 9d."""
    for limit, unit, size in ((120, "s", 1), (7200, "m", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds // 86400)}d"
