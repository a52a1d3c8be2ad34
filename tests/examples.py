"""How many examples a property test tries: all where EGRESSCTL_TEST_ALL is set, as .ci/run has it, else one in five."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EVERYTHING = bool(os.environ.get("EGRESSCTL_TEST_ALL"))
"""Whether the long variants of tests are asked for."""


def examples(number: int) -> settings:
    """Decorate a property test that is to try so many examples where everything is asked for."""
    return settings(max_examples=number if EVERYTHING else number // 5)


def load_profile() -> None:
    """Set what holds for every property test.

    A busy machine is no failure of a property. The few examples are the same each time: what fails by them was changed.
    """
    number = settings.get_profile("default").max_examples
    slow = [HealthCheck.too_slow]
    settings.register_profile("all", deadline=None, suppress_health_check=slow)
    settings.register_profile("few", settings.get_profile("all"), max_examples=number // 5, derandomize=True, database=None)
    settings.load_profile("all" if EVERYTHING else "few")
