"""The command line. Each command is imported only when it is called for, so that `loadctl --help` stays quick."""

from __future__ import annotations

import importlib
from typing import Any

import click

import loadctl
from loadctl.errors import ConfigError, LoadctlError

COMMANDS = {
    "run": ("loadctl.cli.run:run", "Control the loads of a rule file."),
    "probe": ("loadctl.cli.probe:probe", "Read the meter of a rule file once."),
    "check": ("loadctl.cli.check:check", "Check a rule file."),
    "test": ("loadctl.cli.test:test", "Try the rules on made-up days."),
    "doctor": ("loadctl.cli.doctor:doctor", "Look for what could hurt later, and put it right."),
    "status": ("loadctl.cli.status:status", "Show what is happening now."),
    "override": ("loadctl.cli.override:override", "Hold a load on or off, or give it back to its rules."),
    "mode": ("loadctl.cli.mode:mode", "Run a load in a mode: off, solar, solar+min, fast."),
    "boost": ("loadctl.cli.boost:boost", "Give a load something once, by a time."),
    "away": ("loadctl.cli.away:away", "Nobody is at home: needs wait."),
    "explain": ("loadctl.cli.explain:explain", "Say why each load is on or off, now or at a time."),
    "adopt": ("loadctl.cli.adopt:adopt", "Take a replaced device for the load's own."),
    "safe": ("loadctl.cli.safe:safe", "Put every load in its safe state, without a daemon."),
    "history": ("loadctl.cli.history:history", "Look into what was measured and decided."),
    "password": ("loadctl.cli.password:password", "Make the page's password."),
    "schema": ("loadctl.cli.schema:schema", "Print the JSON Schema of rule files, for editors."),
    "replay": ("loadctl.cli.replay:replay", "Live through recorded days under your rules."),
    "score": ("loadctl.cli.score:score", "Count what rules save on recorded days."),
    "tune": ("loadctl.cli.tune:tune", "Look for better rules on recorded days."),
    "demo": ("loadctl.cli.demo:demo", "Watch an emulated home being controlled."),
}
BAD_RULES = 1
BAD_DEVICE = 2


class Commands(click.Group):
    """A group that knows its commands by name and help, and says errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's names
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(str(error), err=True)
            ctx.exit(BAD_RULES)
        except LoadctlError as error:
            click.echo(f"loadctl: {error}", err=True)
            ctx.exit(BAD_DEVICE)
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(cls=Commands)
@click.version_option(loadctl.__version__, message="loadctl %(version)s")
def main() -> None:
    """Use at home the power that your solar panels would export."""
