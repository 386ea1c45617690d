"""The keys of `web:`: what may stand there, and that no secret is told."""

from __future__ import annotations

import pytest

from loadctl.config import parse
from loadctl.errors import ConfigError

RULES = """\
version: 1
meter: {{driver: envoy, host: envoy.local}}
web: {web}
loads:
  boiler: {{actuator: {{driver: shelly, host: 192.168.1.40}}, power: 2 kW}}
"""
HASH = "$argon2id$v=19$m=65536,t=3,p=4$WkGlz6T+krkgyrTvWJkC2Q$vpLbpl4Mdz6tFcjUnTd94CCJa2Z0OysZxFJ77UBVbqI"


def test_all_of_it():
    web = f'{{password: "{HASH}", token: "${{T}}", private: true, hosts: Solar.example, prefix: /loadctl}}'
    found = parse(RULES.format(web=web), "home.yaml", {"T": "a-token-of-some-length"}).web
    assert (found.password, found.token, found.private) == (HASH, "a-token-of-some-length", True)
    assert (found.hosts, found.prefix) == (("solar.example",), "/loadctl")
    assert HASH not in repr(found)
    assert "a-token" not in repr(found)


@pytest.mark.parametrize(
    ("web", "said"),
    [
        ("{password: hunter22}", "web.password: the password itself must not stand here: `loadctl password` makes"),
        ("{password: $argon2id$v=19$m=1}", "web.password: the password itself must not stand here"),
        ("{token: short}", "web.token: a token has at least 16 letters and digits"),
        ('{token: "spaces are not for tokens"}', "web.token: a token has"),
        ("{hosts: ['https://x.example']}", "web.hosts[0]: only the name is meant here"),
        ("{prefix: loadctl}", "web.prefix: a path is meant here that begins with `/`"),
        ("{prefix: /loadctl/}", "web.prefix: a path is meant here"),
        ("{private: maybe}", "web.private: write `true` or `false`"),
    ],
)
def test_what_cannot_be_meant(web, said):
    with pytest.raises(ConfigError) as caught:
        parse(RULES.format(web=web), "home.yaml", {})
    (fault,) = caught.value.faults
    assert str(fault).startswith("home.yaml:3:")
    assert said in str(fault)
    assert "hunter22" not in str(fault)
