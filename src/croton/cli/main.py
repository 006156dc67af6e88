"""The commands, and what their arguments are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from croton._version import __version__
from croton.cli import cache as cache_directory
from croton.config import config


class CacheAction(StrEnum):
    """What ``croton cache`` does."""

    show = "show"
    clear = "clear"


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
    # Most of what it brings is for Python 2 programs; the other commands need not wait for it.
    from croton.cli.run import run_program

    version = "2" if python2 else "3" if python3 else "auto"
    context.obj.append(partial(run_program, program, list(arguments or ()), module, version))


@app.command()
def doctor() -> None:
    """Say what will be used on this machine: processor, threads, GPU, cache, flags."""
    # What it asks takes a second to import and to measure; the other commands need not wait.
    from croton.cli.doctor import report

    console = Console(highlight=False)
    for title, rows in report():
        table = Table(title=title, title_justify="left", box=None, show_header=False)
        table.add_column(style="bold", min_width=18)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(name, Text(value))
        console.print(table)
        console.print()


@app.command()
def cache(
    action: Annotated[
        CacheAction, typer.Argument(help="What to do.", show_default=True)
    ] = CacheAction.show,
) -> None:
    """Show or clear the compiled code that is kept between runs."""
    if action is CacheAction.clear:
        size = cache_directory.clear()
        typer.echo(f"cleared {cache_directory.in_words(size)} in {config.cache_dir}")
        return
    typer.echo(config.cache_dir)
    found = cache_directory.parts()
    for part in found:
        size_in_words = cache_directory.in_words(part.size)
        typer.echo(f"  {part.name:<16} {part.files:>6} files {size_in_words:>12}")
    if not found:
        typer.echo("  empty")


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
