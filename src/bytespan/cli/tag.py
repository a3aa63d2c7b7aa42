"""`bytespan tag`: texts in, spans out, as they come."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bytespan.cli.options import (
    Alternatives,
    BeamSize,
    Debug,
    Encoding,
    Model,
    OnErrorChoice,
    OnErrorOption,
    Precision,
    Recall,
    Threads,
    Threshold,
    WholeWords,
    Workers,
    report_skipped,
    threshold_of,
)

if TYPE_CHECKING:
    from bytespan.corpora.texts import TextLine
    from bytespan.package import Package
    from bytespan.spans import Document
    from bytespan.tagger import Tagger
    from bytespan.workers import Work

    Render = Callable[[TextLine, Document], str]
    Answer = Callable[[list[TextLine]], Iterator[str]]

logger = logging.getLogger(__name__)


class OutputFormat(str, Enum):
    """How spans are written."""

    text = "text"
    jsonl = "jsonl"
    conllu = "conllu"
    conll = "conll"
    html = "html"


class InputFormat(str, Enum):
    """How texts are read."""

    text = "text"
    jsonl = "jsonl"
    conllu = "conllu"
    conll = "conll"


def tag(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Files to tag, gzipped or not; standard input if there is none, and for -."
        ),
    ] = None,
    model: Model = None,
    format: Annotated[
        OutputFormat,
        typer.Option(
            "--format", "-f", help="How to write the spans: text is coloured in a terminal, else in brackets."
        ),
    ] = OutputFormat.text,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            "--input-format",
            help="How to read the texts. By default .jsonl files and lines that open with '{\"' are JSON lines, and "
            "anything else is plain text.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="A task to do, such as tokens or entities; may be given several times.",
            show_default="all; text and html show entities if the model has them",
        ),
    ] = None,
    threshold: Threshold = None,
    precision: Precision = None,
    recall: Recall = None,
    alternatives: Alternatives = None,
    beam_size: BeamSize = 1,
    whole_words: WholeWords = None,
    encoding: Encoding = "utf-8",
    on_error: OnErrorOption = OnErrorChoice.stop,
    threads: Threads = None,
    workers: Workers = 1,
    debug: Debug = False,
) -> None:
    """Tag texts with labelled spans.

    Plain text is one document a line. JSON lines are {"id": ..., "text": ...}; --format jsonl answers each, in order
    and as it goes, with one line {"id": ..., "tokens": [...], "entities": [...]}, where a text without id has its
    line's number. Offsets count in the text as given: "start" and "end" in code points, "byte_start" and "byte_end" in
    UTF-8 bytes. A line of plain text beyond 64 KiB is cut into parts that share its id and count from its beginning.
    Alternatives can be written as JSON lines alone.

    Example: echo "Angela Merkel besuchte Paris." | bytespan tag --format jsonl
    """
    from bytespan.cli.output import Results
    from bytespan.corpora.lines import Skipped, stop
    from bytespan.corpora.texts import read_texts
    from bytespan.tagger import load

    tagger = load(model, threads=threads, whole_words=whole_words)
    tasks = _tasks_to_do(task or list(tagger.tasks), format)
    alternatives = _alternatives_in(format, alternatives)
    least = threshold_of(
        tagger, tasks, threshold=threshold, precision=precision, recall=recall, alternatives=alternatives
    )
    wanted: dict[str, Any] = {
        "tasks": tasks, "beam_size": beam_size, "threshold": least, "alternatives": alternatives
    }  # fmt: skip
    head, render, foot = _renderer(format, tasks, tagger.labels)
    answer = partial(_answer, tagger, format, render, wanted)
    prepare = partial(_prepare, tagger.package, format, tasks, wanted)
    skipped = Skipped()
    with Results() as results:
        results.write(head)
        for file in files or ["-"]:
            form = input_format.value if input_format else None
            _remark_on(file, form)
            bad = skipped if on_error is OnErrorChoice.skip else stop
            groups = read_texts(file, form=form, encoding=encoding, on_error=bad)
            if workers == 1:
                for answers in map(answer, groups):  # no group is held while the next one is read
                    for text in answers:
                        results.write_now(text)
            else:
                from bytespan.workers import hand_on

                hand_on(prepare, groups, results.write_now, workers=workers)
        results.write(foot)
    report_skipped(skipped)


def _remark_on(file: str, form: str | None) -> None:
    """Say on standard error what a user may not have meant."""
    from bytespan.corpora.lines import STANDARD_INPUT
    from bytespan.corpora.reading import format_of_name

    named = format_of_name(file)
    if file == STANDARD_INPUT and sys.stdin.isatty():
        print("bytespan: type a text a line; Ctrl-D ends", file=sys.stderr)
    elif form is None and named in ("conllu", "conll"):
        logger.warning("%s: read as plain text: give --input-format %s to tag the text that it annotates", file, named)


def _alternatives_in(format: OutputFormat, wanted: bool | None) -> bool | None:
    """Whether to give alternatives, which JSON lines alone can hold; ConfigError if they cannot and were asked for."""
    from bytespan.errors import ConfigError

    if format is OutputFormat.jsonl:
        return wanted
    if wanted:
        raise ConfigError(f"--alternatives: --format {format.value} cannot hold spans that overlap: add --format jsonl")
    return False


def _tasks_to_do(tasks: list[str], format: OutputFormat) -> list[str]:
    """What the format can hold of `tasks`: text and HTML show one, entities if they are among them."""
    from bytespan.spans import ENTITIES

    if format in (OutputFormat.text, OutputFormat.html):
        return [ENTITIES] if ENTITIES in tasks else tasks[:1]
    return tasks


def _renderer(format: OutputFormat, tasks: list[str], labels: Mapping[str, Sequence[str]]) -> tuple[str, Render, str]:
    """What stands before all texts, the function that writes one, what stands after all."""
    from bytespan.cli import show

    if format is OutputFormat.jsonl:
        from bytespan.cli.answers import json_line

        return "", json_line, ""
    if format in (OutputFormat.conllu, OutputFormat.conll):
        from bytespan.corpora.writing import renderer

        write = renderer(format.value, fit=True)
        return "", lambda line, document: write(document), ""
    task, colours = tasks[0], show.colours_of(labels.get(tasks[0], ()))
    if format is OutputFormat.html:
        paragraph = partial(show.in_html, task=task, colours=colours)
        return show.HTML_HEAD, lambda line, document: paragraph(document), show.HTML_FOOT
    marked = partial(show.in_colour, colours=colours) if show.wants_colour() else show.in_brackets
    return "", lambda line, document: marked(document, task=task) + line.ending.decode(), ""


def _prepare(package: Package, format: OutputFormat, tasks: list[str], wanted: dict[str, Any]) -> Work:
    """What a worker does with a group of texts."""
    from bytespan.tagger import Tagger

    tagger = Tagger(package, threads=1)
    _, render, _ = _renderer(format, tasks, tagger.labels)
    answer = partial(_answer, tagger, format, render, wanted)
    return lambda group: "".join(answer(group))


def _answer(
    tagger: Tagger, format: OutputFormat, render: Render, wanted: dict[str, Any], group: list[TextLine]
) -> Iterator[str]:
    """What is written for a group of texts, bit by bit: as JSON lines long texts part by part, short ones together."""
    from bytespan.cli.answers import LONG_BYTES, json_pieces
    from bytespan.spans import Document

    for is_long, texts in groupby(group, lambda text: format is OutputFormat.jsonl and len(text.data) > LONG_BYTES):
        if is_long:
            for text in texts:
                yield from json_pieces(text, tagger.parts(text.data, **wanted), tasks=wanted["tasks"])
        else:
            members = list(texts)
            documents = tagger.pipe([Document(text.data) for text in members], **wanted)
            yield "".join([render(text, document) for text, document in zip(members, documents, strict=True)])
