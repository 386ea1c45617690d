"""How hard the properties are tried: `ci` (default) takes about a minute, `HYPOTHESIS_PROFILE=deep` an evening.

`look` does not shrink what it finds, and tries `EXAMPLES` of each.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_SLOW_DATA = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

settings.register_profile(
    "ci",
    max_examples=15,
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=_SLOW_DATA,
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=_SLOW_DATA)
settings.register_profile(
    "look",
    settings.get_profile("ci"),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=int(os.environ.get("EXAMPLES", "25")),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
