"""`bytespan convert`: one annotated format into another."""

from typing import Annotated

import typer

from bytespan.cli.options import (
    AnnotatedFormat,
    AnyFormat,
    Debug,
    Encoding,
    OnErrorChoice,
    OnErrorOption,
    report_skipped,
)


def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="File to read, gzipped or not, or brat directory; - is standard input.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="File to write, or brat directory; - is standard output.")
    ],
    from_format: Annotated[
        AnyFormat | None, typer.Option("--from", help="Format of IN.", show_default="by name and content")
    ] = None,
    to_format: Annotated[
        AnnotatedFormat | None, typer.Option("--to", help="Format of OUT.", show_default="by name")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="Task to write where the format holds only one.")
    ] = None,
    fit: Annotated[
        bool,
        typer.Option("--fit", help="Cut tokens and narrow spans that CoNLL-U or columns cannot hold as they are."),
    ] = False,
    token_column: Annotated[
        int,
        typer.Option("--token-column", metavar="N", help="CoNLL columns: the token's, from 0, or from the end by -1."),
    ] = 0,
    tag_column: Annotated[int, typer.Option("--tag-column", metavar="N", help="CoNLL columns: the entity tag's.")] = -1,
    pos_column: Annotated[
        int | None,
        typer.Option("--pos-column", metavar="N", help="CoNLL columns: the part of speech's.", show_default="not read"),
    ] = None,
    encoding: Encoding = "utf-8",
    on_error: OnErrorOption = OnErrorChoice.stop,
    debug: Debug = False,
) -> None:
    """Convert annotated text from one format to another.

    The output is UTF-8 with LF. A file is replaced only when all is written.

    Example: bytespan convert train.conll train.jsonl
    """
    from bytespan.cli.output import result_file
    from bytespan.corpora.brat import write_brat
    from bytespan.corpora.lines import Skipped, stop
    from bytespan.corpora.reading import format_of_name, read_documents
    from bytespan.corpora.writing import write_documents
    from bytespan.errors import ConfigError

    format = to_format or format_of_name(target)
    if format is None:
        raise ConfigError(f"{target}: the format cannot be told from the name: give it with --to")
    skipped = Skipped()
    bad = skipped if on_error is OnErrorChoice.skip else stop
    documents = read_documents(
        source,
        format=from_format,
        encoding=encoding,
        token_column=token_column,
        tag_column=tag_column,
        pos_column=pos_column,
        on_error=bad,
    )
    if format == "brat":
        write_brat(documents, target, task=task, on_error=bad)
    else:
        with result_file(target) as stream:
            write_documents(documents, stream, format=format, task=task, fit=fit, on_error=bad)
    report_skipped(skipped)
