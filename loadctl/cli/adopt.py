"""`loadctl adopt`: the device of a load was replaced."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Of the daemon that is meant.")
def adopt(name: str, *, state_dir: Path | None) -> None:
    """Take the device that answers at load NAME's address for its own from now on.

    Each load remembers its device, and who else answers at the address is not switched. The exit code is 2 if no
    daemon runs, or if it knows no such load or has nothing against its device.
    """
    from loadctl.service.door import knock
    from loadctl.service.memory import state_dir as find_state_dir

    answer = knock(find_state_dir(state_dir, os.environ), {"do": "adopt", "load": name})
    click.echo(answer.get("said", ""), err=not answer.get("ok"))
    if not answer.get("ok"):
        sys.exit(2)
