"""The commands, and what their arguments are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import typer

from croton._version import __version__
from croton.cli.run import run_program

app = typer.Typer(
    name="croton",
    help="A compiler for mathematical expressions over arrays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _croton(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"croton {__version__}")
        raise typer.Exit


@app.command(
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
def run(
    context: typer.Context,
    program: Annotated[str, typer.Argument(help="The script, or with -m the module.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="The program's own arguments.")
    ] = None,
    module: Annotated[bool, typer.Option("-m", help="PROGRAM is a module.")] = False,
    python2: Annotated[bool, typer.Option("--python2", help="It is Python 2.")] = False,
    python3: Annotated[bool, typer.Option("--python3", help="It is Python 3.")] = False,
) -> None:
    """Run a program that was written for Theano, for Python 2 as well as for Python 3.

    `import theano` finds Croton; Python 2 is recognised by its syntax and its names.
    """
    if python2 and python3:
        raise typer.BadParameter("--python2 and --python3 exclude each other")
    version = "2" if python2 else "3" if python3 else "auto"
    context.obj.append(partial(run_program, program, list(arguments or ()), module, version))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``croton``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A program that is to be run is run outside: its errors and its exit are its own.
    later: list[Callable[[], None]] = []
    try:
        typer.main.get_command(app).main(given, prog_name="croton", obj=later)
    except SystemExit as done:
        if done.code:
            raise
    for action in later:
        action()
