"""Options that several commands share."""

import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bytespan.errors import ConfigError

if TYPE_CHECKING:
    from bytespan.corpora.lines import Skipped
    from bytespan.tagger import Tagger

DEBUG = "bytespan.debug"
"""Key of the click context's `meta` under which `--debug` is kept."""


class OnErrorChoice(str, Enum):
    """What to do with a line, sentence or document that cannot be read."""

    stop = "stop"
    skip = "skip"


AnnotatedFormat = Literal["conllu", "conll", "jsonl", "doccano", "prodigy", "spacy", "brat"]
"""Formats that hold spans."""

AnyFormat = Literal[AnnotatedFormat, "text"]
"""Formats that can be read."""


def _keep_debug(context: typer.Context, wanted: bool) -> bool:
    context.meta[DEBUG] = wanted
    return wanted


Debug = Annotated[bool, typer.Option("--debug", callback=_keep_debug, help="Show the traceback of an error.")]

Encoding = Annotated[str, typer.Option("--encoding", metavar="NAME", help="Encoding of the input, as Python names it.")]

OnErrorOption = Annotated[
    OnErrorChoice,
    typer.Option(
        "--on-error",
        help="Stop at a line that cannot be read, or skip it; skipped lines are named and counted on standard error.",
    ),
]

Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, metavar="N", help="CPU threads to use.", show_default="all"),
]

Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Processes to tag with, a CPU thread each: for much text on a machine with nothing else to do.",
    ),
]

BASE = "base"
"""What the packaged model is called where a model is asked for."""


def model_path(text: str) -> Path:
    """Where the model lies that was asked for: the packaged one if it is called so, and no file here is."""
    path = Path(text)
    if text != BASE or path.exists():
        return path
    from bytespan.tagger import PACKAGED_MODEL

    return PACKAGED_MODEL


Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="PATH",
        parser=model_path,
        help="Model directory or zip file.",
        show_default="the packaged model",
    ),
]

GivenModel = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        parser=model_path,
        help="Model directory or zip file; base is the packaged model.",
        show_default=False,
    ),
]

WholeWords = Annotated[
    bool | None,
    typer.Option(
        "--whole-words/--no-whole-words",
        help="Generator: begin and end spans only where words do, or anywhere as in the paper.",
        show_default="as the model was made",
    ),
]

BeamSize = Annotated[
    int,
    typer.Option(
        "--beam-size", min=1, metavar="N", help="Generator: symbol sequences searched at a time; 1 is greedy."
    ),
]

Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="SCORE",
        help="Give every span whose score is at least this, of every task: above 0, below 1.",
        show_default="as bytespan tune chose, else 0.4; for tokens, and with a generator, the most likely spans",
    ),
]

Precision = Annotated[
    float | None,
    typer.Option(
        "--precision",
        metavar="SHARE",
        help="Instead of --threshold: the one with this precision when the model was tuned, such as 0.95.",
    ),
]

Recall = Annotated[
    float | None,
    typer.Option(
        "--recall",
        metavar="SHARE",
        help="Instead of --threshold: the one with this recall when the model was tuned, such as 0.95.",
    ),
]

Alternatives = Annotated[
    bool | None,
    typer.Option(
        "--alternatives/--no-alternatives",
        help="Give spans that overlap more probable ones too: other labels and bounds, for more recall.",
        show_default="as bytespan tune chose, else no",
    ),
]

GoldFormat = Annotated[
    AnnotatedFormat | None,
    typer.Option("--format", "-f", help="Format of the gold files.", show_default="by name and content"),
]


def threshold_of(
    tagger: "Tagger",
    tasks: Sequence[str],
    *,
    threshold: float | None,
    precision: float | None,
    recall: float | None,
    alternatives: bool | None,
) -> float | dict[str, float] | None:
    """The threshold that the options ask for, by task if it is looked up; tasks that were not tuned are left alone.

    Raises ConfigError if two ask for one, or no task was tuned.
    """
    if threshold is not None:
        if precision is not None or recall is not None:
            raise ConfigError("give one of --threshold, --precision and --recall")
        return threshold
    if precision is None and recall is None:
        return None
    tuned = [task for task in tasks if task in tagger.tunings] or list(tasks[:1])
    return {
        task: tagger.threshold_for(task, precision=precision, recall=recall, alternatives=alternatives)
        for task in tuned
    }


def report_skipped(skipped: "Skipped") -> None:
    """Say on standard error how much was left out, if anything was."""
    if skipped.count:
        print(f"bytespan: skipped {skipped.count} that could not be read", file=sys.stderr)
