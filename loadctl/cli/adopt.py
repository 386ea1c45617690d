"""`loadctl adopt`: the device of a load was replaced."""

from __future__ import annotations

from typing import Any

import click

from loadctl.cli.asking import tell, wishing


@click.command()
@click.argument("name")
@wishing
def adopt(name: str, **asking: Any) -> None:
    """Take the device that answers at load NAME's address for its own from now on.

    Each load remembers its device, and who else answers at the address is not switched. The exit code is 2 if no
    daemon runs, or if it knows no such load or has nothing against its device.
    """
    tell(f"/loads/{name}/adopt", **asking)
