"""`loadctl password`: what stands in the rule file for a password."""

from __future__ import annotations

import click


@click.command()
@click.password_option(help="Asked for if it is not given; what is given here can be seen by other users.")
def password(*, password: str) -> None:
    """Print a line for `web:` in the rule file, from which nobody can tell the password."""
    from argon2 import PasswordHasher

    click.echo(f'password: "{PasswordHasher().hash(password)}"')
