"""`bytespan inspect`: what the cells of a model represent, as pictures and a report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytespan.cli.options import (
    AnyFormat,
    Debug,
    Encoding,
    GivenModel,
    OnErrorChoice,
    OnErrorOption,
    Threads,
    report_skipped,
)
from bytespan.errors import import_extra

if TYPE_CHECKING:
    from bytespan.corpora.lines import OnError
    from bytespan.spans import Document

logger = logging.getLogger(__name__)

REPORT, FIGURES = "report.html", "figures.json"
MOST_BYTES = 1 << 22
"""Text of a file beyond which no more of it is read; far more than is looked at."""


def inspect(
    model: GivenModel,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for report.html, figures.json, activations.png, probes.png, clusters.png and map.png.",
            show_default=False,
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[[LANGUAGE=]FILE]...",
            help="Annotated or plain files, gzipped or not; standard input if there is none, and for -. A file without "
            "LANGUAGE is taken to be in one of its own, named after it or, where that does not tell, after its folder.",
        ),
    ] = None,
    format: Annotated[
        AnyFormat | None,
        typer.Option("--format", "-f", help="Format of the files.", show_default="by name and content"),
    ] = None,
    encoding: Encoding = "utf-8",
    on_error: OnErrorOption = OnErrorChoice.stop,
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Show what the cells of a model represent.

    Reads text and writes: the activations of the most telling cells over it; how well a linear map finds word ends,
    scripts, capitals, digits, quotations, languages and labels in each layer, beside a control that can only learn
    words by heart; the cell that tells each best alone; a map of the states, and whether they lie together by label or
    by language. Labels are asked about in annotated files, languages in files of several.

    Some 100 kB of text are looked at, in a minute or two. Needs the extra: pip install 'bytespan[inspect]'.

    Example: bytespan inspect base en=en-dev.conllu de=de-dev.conllu --output cells
    """
    from bytespan.cli.output import result_file, writing
    from bytespan.cli.progress import with_progress
    from bytespan.corpora.jsonlines import json_line
    from bytespan.corpora.lines import Skipped, stop
    from bytespan.package import read_package

    package = read_package(model, with_weights=False)
    skipped = Skipped()
    bad = skipped if on_error is OnErrorChoice.skip else stop
    texts: dict[str, list[Document]] = {}
    for language, file in name_files(files or ["-"]):
        texts.setdefault(language, []).extend(_read(file, format, encoding, bad))
    with writing(str(output)):
        output.mkdir(parents=True, exist_ok=True)
    for module in ("onnx", "sklearn", "matplotlib"):
        import_extra(module, extra="inspect", purpose="bytespan inspect")
    from bytespan.inspection.pictures import draw_pictures
    from bytespan.inspection.report import figures, report_page
    from bytespan.inspection.study import inspect_model

    inspection = inspect_model(package, texts, threads=threads, track=with_progress)
    pictures = draw_pictures(inspection)
    written = pictures | {
        FIGURES: json_line(figures(inspection)).encode("utf-8"),
        REPORT: report_page(inspection, pictures).encode("utf-8"),
    }
    for name, data in written.items():
        with result_file(str(output / name)) as stream:
            stream.write(data)
    report_skipped(skipped)
    logger.info("open %s", output / REPORT)


def name_files(files: Sequence[str]) -> list[tuple[str, str]]:
    """(language, file) of each argument."""
    pairs = []
    for file in files:
        language, equals, rest = file.partition("=")
        pairs.append((language, rest) if equals and language and not Path(file).exists() else ("", file))
    names = [Path(file).name.partition(".")[0] or file for _, file in pairs]
    folders = [Path(file).absolute().parent.name for _, file in pairs]
    return [
        (language or (name if names.count(name) == 1 else folder), file)
        for (language, file), name, folder in zip(pairs, names, folders, strict=True)
    ]


def _read(file: str, format: str | None, encoding: str, on_error: OnError) -> list[Document]:
    from bytespan.corpora.reading import read_documents

    documents, size = [], 0
    for document in read_documents(file, format=format, encoding=encoding, on_error=on_error):
        documents.append(document)
        size += len(document.data)
        if size >= MOST_BYTES:
            break
    return documents
