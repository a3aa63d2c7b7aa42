"""The command `bytespan`: its subcommands, and how each of them ends.

Modules of commands import the library inside their functions, so that help and errors come at once.
"""

import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bytespan.cli import adapt, convert, evaluate, export, info, inspect, tag, train, tune
from bytespan.cli.options import DEBUG
from bytespan.errors import BytespanError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it."""

BROKEN_PIPE = 141
"""Exit status when the reader of standard output has gone, as shells report it."""


class Commands(TyperGroup):
    """The subcommands, in the order in which help lists them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a known error is one line on standard error and exit status 1."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BytespanError as error:
            if ctx.meta.get(DEBUG):
                raise
            message = " ".join(str(error).splitlines())
            print(f"bytespan: {message}", file=sys.stderr)
            sys.exit(1)
        except BrokenPipeError:
            # What is still buffered can go nowhere, and Python would complain about it when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


app = typer.Typer(
    name="bytespan",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"bytespan {version('bytespan')}")
        raise typer.Exit


@app.callback()
def bytespan(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Labelled spans from raw UTF-8 bytes: words, parts of speech and named entities.

    Results go to standard output; progress, warnings and errors to standard error. Exit status: 0 done, 1 failed,
    2 wrong usage.
    """
    logging.basicConfig(level=logging.WARNING, format="bytespan: %(message)s")
    logging.getLogger("bytespan").setLevel(logging.INFO)


for module in (tag, train, adapt, evaluate, tune, inspect, convert, export, info):
    name = module.__name__.rpartition(".")[2]
    app.command(name)(getattr(module, name))


def main() -> None:
    """The entry point of the command `bytespan`."""
    app(prog_name="bytespan")
