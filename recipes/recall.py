"""Precision against recall, and what confidences mean: question 1 of docs/questions.md, `questions.py recall`."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from cutting import some_documents
from numpy.typing import NDArray
from scoring import read_json, write_json
from tables import cell, table

from bytespan.calibration import (
    LEAST_PROBABILITY,
    UNCALIBRATED,
    USUAL_THRESHOLD,
    Calibration,
    CurvePoint,
    Judged,
    Target,
    expected_calibration_error,
    judge,
    measure,
)
from bytespan.spans import ENTITIES, Document
from bytespan.tagger import Tagger, load
from bytespan.tuning import Tuning, fit_tuning

RECIPES = Path(__file__).parent
TITLE = "1. Recall"

CONLL = ("en", "de", "es", "nl")
MODELS = {"conll-parallel": "the parallel decoder", "conll-paper": "the generator"}
"""Package in recipes/weights -> what it is."""

GAINS = (0.05, 0.07)
"""By how much recall is to rise on the development file."""

PRICED = 0.05
"""For which rise on the test file the price is read off its own curve."""

DRAWS = 100
"""Times that confidences are put to the test of chance."""

Files = Mapping[str, tuple[Path, Path]]
"""Language -> development and test file."""


def measure_recall(tagger: Tagger, files: Files, *, documents: int | None = None) -> dict[str, Any]:
    """The figures of one untuned model; of each file `documents` documents at even distances, all if None."""
    parts: dict[str, list[tuple[CurvePoint, Judged]]] = {}
    for language, paths in files.items():
        parts[language] = [_judge_file(tagger, path, documents) for path in paths]
    dev, test = (_together([judged[i][1] for judged in parts.values()]) for i in (0, 1))
    shared = fit_tuning(dev, Target())
    rows = {name: _language(*judged, shared.calibration) for name, judged in parts.items()}
    errors = _calibration_errors(test, shared, shared.calibration)
    return {
        "documents": documents,
        "languages": rows,
        "all": {"calibration": asdict(shared.calibration), "ece": errors},
    }


def _judge_file(tagger: Tagger, path: Path, documents: int | None) -> tuple[CurvePoint, Judged]:
    """What the model has as it is, and all likely spans judged."""
    gold = some_documents(path, documents)
    before = measure(_pairs(gold, tagger, {}), task=ENTITIES)
    likely = {"threshold": LEAST_PROBABILITY, "alternatives": True}
    return before, judge(_pairs(gold, tagger, likely), task=ENTITIES)


def _pairs(gold: list[Document], tagger: Tagger, options: dict[str, Any]) -> list[tuple[Document, Document]]:
    return list(zip(gold, tagger.pipe(gold, tasks=[ENTITIES], **options), strict=True))


def _together(parts: Sequence[Judged]) -> Judged:
    """The spans of several files, their documents numbered on."""
    firsts = np.cumsum([0, *(int(part.document.max(initial=-1)) + 1 for part in parts)])
    return Judged(
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.is_correct for part in parts]),
        np.concatenate([part.is_flat for part in parts]),
        np.concatenate([part.document + first for part, first in zip(parts, firsts, strict=False)]),
        sum(part.gold for part in parts),
    )


def _language(dev: tuple[CurvePoint, Judged], test: tuple[CurvePoint, Judged], shared: Calibration) -> dict[str, Any]:
    """One language: points chosen on its development data, and what they have on its test data."""
    tuning = fit_tuning(dev[1], Target())
    own = _calibration_errors(test[1], tuning, tuning.calibration)
    within_reach = max(point.recall for point in tuning.overlapping)
    steps = []
    for gain in GAINS:
        wanted = min(dev[0].recall + min(gain, (1 - dev[0].recall) / 2), within_reach)
        chosen = tuning.lookup(Target(recall=wanted), alternatives=True)
        found = _at(test[1], tuning.calibration, chosen.threshold, alternatives=True)
        steps.append({"gain": gain, "dev": asdict(chosen), "test": asdict(found)})
    best = _at(test[1], tuning.calibration, tuning.chosen.threshold, alternatives=False)
    flat, overlapping = (_curve(test[1], tuning, alternatives=wanted) for wanted in (False, True))
    return {
        "before": {"dev": asdict(dev[0]), "test": asdict(test[0])},
        "best_f1": asdict(best),
        "raised": steps,
        "priced": asdict(_raised(test[1], test[0].recall + PRICED)),
        "highest_recall": {"flat": max(row[1] for row in flat), "alternatives": max(row[1] for row in overlapping)},
        "ece": own | {"calibrated_on_all": _calibration_errors(test[1], tuning, shared)["calibrated"]},
        "curves": {"flat": flat, "alternatives": overlapping},
    }


def _at(judged: Judged, calibration: Calibration, threshold: float, *, alternatives: bool) -> CurvePoint:
    """What a threshold has."""
    rows = (calibration.confidence(judged.probability) >= threshold) & (judged.is_flat | alternatives)
    right = int(judged.is_correct[rows].sum())
    return CurvePoint(threshold, right / max(int(rows.sum()), 1), right / max(judged.gold, 1))


def _raised(judged: Judged, recall: float) -> CurvePoint:
    """The highest probability down to which all spans, alternatives too, have at least this recall."""
    order = np.argsort(-judged.probability, kind="stable")
    recalls = np.cumsum(judged.is_correct[order]) / max(judged.gold, 1)
    place = int(np.searchsorted(recalls, recall))
    if place == len(order):
        return _at(judged, UNCALIBRATED, 0.0, alternatives=True)
    return _at(judged, UNCALIBRATED, float(judged.probability[order[place]]), alternatives=True)


def _curve(judged: Judged, tuning: Tuning, *, alternatives: bool) -> list[list[float]]:
    """Precision and recall at thresholds of the tuning's curve, fewer where it is flat."""
    thresholds = [point.threshold for point in (tuning.overlapping if alternatives else tuning.flat)]
    wanted = (threshold for threshold in thresholds if threshold <= 0.2 or round(100 * threshold) % 5 == 0)
    found = (_at(judged, tuning.calibration, threshold, alternatives=alternatives) for threshold in wanted)
    return [[round(point.precision, 4), round(point.recall, 4)] for point in found]


def _calibration_errors(judged: Judged, tuning: Tuning, calibration: Calibration) -> dict[str, float]:
    """The error of the spans of the best F1, by the model's probability and by a calibration."""
    rows = (tuning.calibration.confidence(judged.probability) >= tuning.chosen.threshold) & judged.is_flat
    probability, is_correct = judged.probability[rows], judged.is_correct[rows]
    confidence = calibration.confidence(probability)
    return {
        "spans": int(rows.sum()),
        "raw": expected_calibration_error(probability, is_correct),
        "calibrated": expected_calibration_error(confidence, is_correct),
        "perfect": _perfect_error(confidence),
    }


def _perfect_error(confidence: NDArray[np.float64]) -> float:
    """The error that so many spans would show on average if every one were right with its confidence."""
    rng = np.random.default_rng(1)
    draws = rng.uniform(size=(DRAWS, len(confidence))) < confidence
    return float(np.mean([expected_calibration_error(confidence, draw) for draw in draws]))


def section(results: Mapping[str, dict[str, Any]]) -> str:
    """The section of the page, from what was measured of each model."""
    lines = [ASKED, ""]
    for name, result in results.items():
        lines += _model_lines(name, result)
    lines += ["![Precision against recall on the test files](questions/recall.png)", "", _answer(results), ""]
    samples = {
        name: f" --documents {result['documents']}" if result["documents"] else "" for name, result in results.items()
    }
    calls = [f"`python recipes/questions.py recall --model {name}{sample}`" for name, sample in samples.items()]
    lines += [f"Again: {', '.join(calls)}.", ""]
    return "\n".join(lines)


ASKED = f"""## {TITLE}

The paper scores only the spans that it writes. Is there a way to trade precision for recall, in both directions, with
confidences that mean what they say?

Measured on the CoNLL languages, with thresholds as of `bytespan tune`: it looks at every span that the model finds at
least 0.5 % likely, maps the model's probability to the share of such spans that were right in the development file (two
numbers, Platt scaling), and a threshold on that confidence chooses the spans. Flat spans leave out what overlaps a more
probable span; with alternatives it stays, so that a place may have two labels or two bounds. Thresholds were chosen on
the development file: for the best F1, flat, and for recall 5 and 7 points above that before (half of what was missing,
if that is less), with alternatives.

The figures are precision (P) and recall (R) on the test file, in percent: *before*, of what the model gives untuned
(the parallel decoder the spans that it finds at least {USUAL_THRESHOLD:.0%} likely); at the *best F1*; and with the
threshold for which 5 or 7 points more were *asked*, of which so many were *gained*. *Highest flat R* is all that flat
spans can reach; *P at +5* is the precision where the test file's own curve reaches 5 points more recall."""


def _model_lines(name: str, result: dict[str, Any]) -> list[str]:
    sample = f", on {result['documents']} documents of each file" if result["documents"] else ""
    rows: list[list[object]] = []
    errors = []
    for language, row in result["languages"].items():
        before = row["before"]["test"]
        cells: list[object] = [language, *_percents(before), *_percents(row["best_f1"])]
        cells.append(100 * row["highest_recall"]["flat"])
        for step in row["raised"]:
            cells += [*_percents(step["test"]), 100 * (step["test"]["recall"] - before["recall"])]
        rows.append([*cells, 100 * row["priced"]["precision"]])
        ece = row["ece"]
        figures = (ece["raw"], ece["calibrated"], ece["calibrated_on_all"], ece["perfect"])
        errors.append([language, ece["spans"], *_errors(*figures)])
    whole = result["all"]["ece"]
    errors.append(["all", whole["spans"], *_errors(whole["raw"], None, whole["calibrated"], whole["perfect"])])
    head = ["", "P before", "R before", "P best F1", "R best F1", "highest flat R"]
    gained = [f"gained, {100 * gain:.0f} asked" for gain in GAINS]
    for gain, title in zip(GAINS, gained, strict=True):
        head += [f"P, {100 * gain:.0f} asked", f"R, {100 * gain:.0f} asked", title]
    titles = ["ECE", "spans", "before", "after, own development file", "after, all development files", "by chance"]
    return [
        f"{MODELS[name].capitalize()} (`{name}`){sample}:",
        "",
        *table([*head, f"P at +{100 * PRICED:.0f}"], rows, signed=gained),
        "Expected calibration error (ECE, 15 bins), by how much confidence and the share of spans that are right "
        "differ on average: 0 is perfect. On the test file, of the flat spans of the best F1, by the model's own "
        "probability (*before*) and by the confidence (*after*). *By chance*: what as many spans would show even if "
        "each were right exactly with its confidence.",
        "",
        *table(titles, errors),
    ]


def _percents(point: Mapping[str, float]) -> list[float]:
    return [100 * point["precision"], 100 * point["recall"]]


def _errors(*errors: float | None) -> list[str]:
    return [cell(None) if error is None else f"{error:.3f}" for error in errors]


def _answer(results: Mapping[str, dict[str, Any]]) -> str:
    """Two sentences."""
    costs, errors = [], []
    for name, result in results.items():
        rows = result["languages"].values()
        paid = [100 * (row["before"]["test"]["precision"] - row["priced"]["precision"]) for row in rows]
        costs.append(f"{min(paid):.0f} to {max(paid):.0f} points of precision with {MODELS[name]}")
        ece = result["all"]["ece"]
        errors.append(f"{ece['raw']:.3f} to {ece['calibrated']:.3f} ({ece['perfect']:.3f} being chance)")
    return (
        f"**Recall goes up as well as down: 5 points more cost {' and '.join(costs)}, and need "
        "alternatives, since most of what is missed was found with another label or other bounds. "
        "Confidences mean what they say once two numbers are fitted: that takes the calibration error from "
        f"{' and from '.join(errors)}.**"
    )


def draw(path: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Precision against recall on the test files, a panel a language."""
    from matplotlib.figure import Figure

    languages = list(next(iter(results.values()))["languages"])
    figure = Figure(figsize=(4.2 * len(languages), 4.4), layout="constrained")
    for axes, language in zip(figure.subplots(1, len(languages), squeeze=False)[0], languages, strict=True):
        for (name, result), colour in zip(results.items(), ("black", "tab:green"), strict=False):
            row = result["languages"][language]
            for kind, style in (("flat", "-"), ("alternatives", "--")):
                precision, recall = zip(*row["curves"][kind], strict=True)
                label = f"{name}, {kind}" if kind == "flat" else f"{name}, with alternatives"
                axes.plot(recall, precision, style, color=colour, label=label)
            before = row["before"]["test"]
            axes.plot(before["recall"], before["precision"], "s", color=colour, label=f"{name}, untuned")
            raised = row["raised"][-1]["test"]
            axes.plot(
                raised["recall"],
                raised["precision"],
                "o",
                color=colour,
                label=f"{name}, {100 * GAINS[-1]:.0f} points asked for",
            )
        axes.set(title=language, xlabel="recall", ylabel="precision", xlim=(0.4, 1), ylim=(0.3, 1))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Model -> what was measured, of models that were."""
    read = {name: read_json(folder / f"recall-{name}.json") for name in MODELS}
    return {name: result for name, result in read.items() if result}


def answer(arguments: argparse.Namespace, *, results: Path, pictures: Path) -> str:
    """Measure one model, draw all that were, and write the section of the page."""
    folder = arguments.data / "ner" / "conll"
    files = {name: (folder / name / "dev.conll", folder / name / "test.conll") for name in CONLL}
    tagger = load(RECIPES / "weights" / arguments.model, threads=arguments.threads, tuned=False)
    measured = measure_recall(tagger, files, documents=arguments.documents)
    write_json(results / f"recall-{arguments.model}.json", measured)
    found = read_results(results)
    draw(pictures / "recall.png", found)
    return section(found)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `answer` takes."""
    parser.add_argument("--model", choices=MODELS, default="conll-parallel")
    parser.add_argument("--documents", type=int, help="of each file, at even distances (default: all)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=1)
