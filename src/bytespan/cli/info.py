"""`bytespan info`: what a model says of itself."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bytespan.cli.options import Debug, model_path
from bytespan.config import config_to_json

if TYPE_CHECKING:
    from bytespan.package import Package
    from bytespan.tuning import Tuning


def info(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]", parser=model_path, help="Model directory or zip file.", show_default="the packaged model"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    card: Annotated[bool, typer.Option("--card", help="The model's whole card, in Markdown.")] = False,
    debug: Debug = False,
) -> None:
    """Show a model's card: tasks, labels, languages, licence, size, training data, scores.

    Every file of the model is checked on the way. Sizes are in bytes, unpacked.

    Example: bytespan info
    """
    from bytespan.cli.output import Results
    from bytespan.corpora.jsonlines import json_line
    from bytespan.package import read_package
    from bytespan.tagger import PACKAGED_MODEL

    package = read_package(PACKAGED_MODEL if model is None else model)
    with Results() as results:
        if card:
            results.write(package.card)
        elif as_json:
            results.write(json_line(_to_json(package)))
        else:
            results.write(_to_text(package))


def _to_json(package: "Package") -> dict[str, Any]:
    return {
        **asdict(package.provenance),
        "labels": {task: list(labels) for task, labels in package.labels.items()},
        "model": config_to_json(package.config),
        "bytes": {name: len(data) for name, data in package.files.items()},
        "path": str(package.path),
    }


def _describe(tuning: "Tuning") -> str:
    """The chosen point, with what it had on the development data."""
    chosen = tuning.chosen
    overlaps = " with alternatives" if tuning.alternatives else ""
    return (
        f"at threshold {chosen.threshold:g}{overlaps}: precision {100 * chosen.precision:.2f}, recall "
        f"{100 * chosen.recall:.2f} on development data"
    )


def _to_text(package: "Package") -> str:
    from bytespan.package import describe_shape
    from bytespan.tuning import tunings_of

    provenance, config = package.provenance, package.config
    rows = [("name", f"{provenance.name} {provenance.version}"), ("path", str(package.path))]
    rows += [(task, ", ".join(labels)) for task, labels in package.labels.items()]
    rows += [
        ("languages", ", ".join(provenance.languages) or "not stated"),
        ("licence", provenance.licence),
        ("decoder", config.decoder),
        ("shape", describe_shape(config)),
        ("weights", provenance.precision),
        ("size", ", ".join(f"{name} {len(data):,} bytes" for name, data in package.files.items())),
    ]
    rows += [("tuned", f"{task} {_describe(tuning)}") for task, tuning in tunings_of(package).items()]
    rows += [("trained on", corpus) for corpus in provenance.training_data]
    rows += [("score", f"{measured} {score:g}") for measured, score in provenance.scores.items()]
    width = max(len(key) for key, _ in rows) + 2
    return "".join(f"{key:<{width}}{value}\n" for key, value in rows)
