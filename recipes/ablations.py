"""Questions 2, 3, 4 and 9 of docs/questions.md: how the models compare that are one setting apart, at a small scale.

    python recipes/questions.py direction
    python recipes/questions.py bottleneck --line "k = 60" --line "k = 60, attention" --seed 1 --seed 2 --seed 3

A line of a table is a training and a use of the model that came of it. What `recipes/results/questions/ablations.json`
holds is not made again; a training that lines share is made once.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from scoring import read_json
from tables import table
from trials import (
    AS_TRAINED,
    Places,
    Trial,
    found_scores,
    identity,
    mean_over_seeds,
    measure,
    recipe_of,
    scale_of,
    spread_over_seeds,
)

RESULTS = "ablations.json"
PLACE = re.compile(r"\{([^}]+)\}")
"""Where a figure stands in an answer."""

LENGTHS = (60, 120, 240, 480, 2000)
"""k: bytes in a segment."""

ATTENTION = "model.attention=true"
CONLL = ("en", "de", "es", "nl")
LANGUAGES = ("en", "it", "sv", "wo")
"""Of the generator; of the last one there is little text."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table."""

    name: str
    trial: Trial
    use: str = AS_TRAINED


@dataclass(frozen=True, slots=True)
class Question:
    """A section of the page."""

    title: str
    help: str
    asked: str
    tables: Mapping[str, Sequence[Line]]
    """What stands above a table -> its lines."""
    answer: str
    """Some sentences, written once the figures were there; {decoder: name} stands for the score of a line,
    {decoder: name: corpus} for that in one of several corpora."""
    picture: str | None = None

    def lines(self) -> Iterator[Line]:
        """Of all tables."""
        for lines in self.tables.values():
            yield from lines


def _generator(*settings: str) -> Trial:
    return Trial("pos-small", settings)


def _attending(*settings: str) -> Trial:
    """With attention, without which the generator learns too little at this scale for other settings to count."""
    return _generator(ATTENTION, *settings)


def _parallel(*settings: str) -> Trial:
    return Trial("conll-small", settings)


def _segments(length: int, *settings: str) -> Trial:
    """A generator with segments of that many bytes that reads as many bytes as the one of 60, in as many steps or less.

    Its batches hold fewer segments; those of one segment that is longer yet come less often.
    """
    train = recipe_of(_generator()).train
    batch_bytes = train.batch_size * recipe_of(_generator()).model.segment_length
    batch = max(batch_bytes // length, 1)
    share = batch_bytes / (batch * length)
    changes = [f"model.segment_length={length}", f"train.batch_size={batch}"] if length != LENGTHS[0] else []
    if share != 1:
        counts = {"steps": train.steps, "growth_steps": train.growth_steps, "decay_steps": train.decay_steps or 0}
        changes += [f"train.{name}={round(count * share)}" for name, count in counts.items()]
    return _generator(*changes, *settings)


def _training_segments(length: int) -> list[str]:
    """Settings of a parallel decoder that is trained on such segments, as many bytes a step as ever."""
    train = recipe_of(_parallel()).train
    batch = train.batch_size * train.segment_bytes // length
    return [f"train.segment_bytes={length}", f"train.batch_size={batch}"] if length != train.segment_bytes else []


def _per_language(base: Trial, languages: Sequence[str]) -> list[Line]:
    steps = recipe_of(base).train.steps * len(languages)
    together = replace(base, settings=(*base.settings, f"train.steps={steps}"), corpora=tuple(languages))
    alone = [Line(f"{name} alone", replace(base, corpora=(name,))) for name in languages]
    return [*alone, Line("all in one model", together)]


SEPARATE = "model.separate=true"
BIDIRECTIONAL = "model.bidirectional=true"
NO_DROPOUT = ("train.dropout=0.0", "train.byte_dropout=0.0", "train.unit_dropout=0.0", "train.hash_dropout=0.0")

QUESTIONS = {
    "bottleneck": Question(
        "2. Bottleneck and k",
        "attention, and segments of 60 to 2000 bytes",
        "The generator passes all that it read through one state of fixed size. Is that a bottleneck: does attention "
        "over the segment help, and do longer segments, with and without it? And how long should the parallel "
        "decoder's be?",
        {
            "The generator, trained and used with segments of k bytes, the same number of bytes in all:": [
                Line(f"k = {length}{', attention' if settings else ''}", _segments(length, *settings))
                for settings in ((), (ATTENTION,))
                for length in LENGTHS
            ],
            "The parallel decoder, trained on segments of 512 bytes, used with segments of k:": [
                *(Line(f"k = {k} at use", _parallel(), f"model.segment_length={k}") for k in LENGTHS),
                Line("k = 4096 at use", _parallel()),
            ],
            "The parallel decoder, trained on segments of k bytes, the same number of bytes in all, used with 4096:": [
                Line(f"k = {k} in training", _parallel(*_training_segments(k))) for k in (64, 256, 512, 2048)
            ],
        },
        "The state of fixed size is a bottleneck of learning at least: in as many steps attention takes the generator "
        "from {generator: k = 60} to {generator: k = 60, attention} % of the words at k = 60; longer segments are "
        "harder to learn all the same, {generator: k = 240, attention} % at k = 240 after as many bytes. The parallel "
        "decoder has no such state and gains from longer segments at use, though it was trained on 512 bytes: F1 of "
        "{parallel: k = 60 at use} with 60, {parallel: k = 480 at use} with 480, {parallel: k = 4096 at use} with "
        "4096. Trained on 64 bytes it does as well or better, {parallel: k = 64 in training}, and on 2048 it learns "
        "more slowly, {parallel: k = 2048 in training}; one seed each.",
        "bottleneck.png",
    ),
    "carry": Question(
        "3. State across segments",
        "a state that is carried from segment to segment, or reset",
        "The paper begins every segment with a state of zeros. Is it better to carry the state from the bytes before "
        "it, in training, at use, or in both?",
        {
            "The generator with attention, up to so many bytes before a segment read first (`model.carried_bytes`):": [
                Line(f"trained with {trained}, used with {used}", _attending(*settings), use)
                for trained, settings in ((0, ()), *((n, (f"model.carried_bytes={n}",)) for n in (60, 240)))
                for used, use in ((n, AS_TRAINED if n == trained else f"model.carried_bytes={n}") for n in (0, 60, 240))
            ],
        },
        "At this scale reset is better: trained and used with 60 bytes carried, the generator finds "
        "{generator: trained with 60, used with 60} % of the words after as many steps, without them "
        "{generator: trained with 0, used with 0} %, perhaps because it must learn to count from a mark in what it "
        "reads instead of from the first byte; whether it would catch up in a longer training is open. A model that "
        "was not trained with a carried state cannot use one ({generator: trained with 0, used with 60} % "
        "with 60 bytes at use alone), one that was hardly misses it ({generator: trained with 60, used with 0} %); one "
        "seed each.",
    ),
    "direction": Question(
        "4. Direction",
        "an encoder that reads from both ends, or from the start alone",
        "The paper's encoder reads from the start only. What does one give that reads from both ends?",
        {
            "The generator (an encoder that reads both ways cannot be the decoder too, as in the paper):": [
                Line("one way, shared with the decoder", _generator()),
                Line("one way", _generator(SEPARATE)),
                Line("both ways", _generator(SEPARATE, BIDIRECTIONAL)),
                Line("one way, attention", _generator(SEPARATE, ATTENTION)),
                Line("both ways, attention", _generator(SEPARATE, ATTENTION, BIDIRECTIONAL)),
            ],
            "The parallel decoder (the mean state of the same word looks ahead in both):": [
                Line("both ways, 96 units each", _parallel()),
                Line("one way, 96 units", _parallel("model.bidirectional=false")),
                Line("one way, 168 units", _parallel("model.bidirectional=false", "model.units=168")),
            ],
        },
        "Both ends are better in both decoders: {generator: both ways, attention} against "
        "{generator: one way, attention} % of the words for the generator with attention, and F1 of "
        "{parallel: both ways, 96 units each} against {parallel: one way, 96 units} for the parallel decoder, or "
        "{parallel: one way, 168 units} with more units. The price is a second LSTM: one that is to write as well, as "
        "the paper's, can read one way only; one seed each.",
    ),
    "ablations": Question(
        "9. The ablations of the paper",
        "dropout, depth, width, order, and one model for all languages",
        "What the paper compared, for both decoders: dropout, depth, width, the order of input and spans, one model "
        "for all languages against one a language, and languages with little text.",
        {
            "The generator with attention, dropout:": [
                Line("none", _attending()),
                Line("dropout 0.2", _attending("train.dropout=0.2")),
                Line("dropout 0.2, byte dropout 0.2", _attending("train.dropout=0.2", "train.byte_dropout=0.2")),
            ],
            "The parallel decoder, dropout:": [
                Line("none", _parallel(*NO_DROPOUT)),
                Line("dropout 0.2 only", _parallel(*NO_DROPOUT[1:])),
                Line("dropout 0.2, byte dropout 0.05", _parallel(*NO_DROPOUT[2:])),
                Line("and of units 0.05 and of hashes 0.2", _parallel()),
            ],
            "The generator with attention, depth:": [
                Line(f"{n} layer{'s' * (n > 1)}", _attending(*([f"model.layers={n}"] if n != 2 else [])))
                for n in (1, 2, 3, 4)
            ],
            "The parallel decoder, depth:": [
                Line(f"{n} layer{'s' * (n > 1)}", _parallel(*([f"model.layers={n}"] if n != 2 else [])))
                for n in (1, 2, 3, 4)
            ],
            "The generator with attention, width:": [
                Line(f"{n} units", _attending(*([f"model.units={n}"] if n != 128 else []))) for n in (64, 128, 256)
            ],
            "The parallel decoder, width:": [
                Line(f"{n} units", _parallel(*([f"model.units={n}"] if n != 96 else []))) for n in (48, 96, 192)
            ],
            "The generator with attention, order:": [
                Line("input forward, last span first", _attending()),
                Line("input reversed", _attending("model.input_order=reversed")),
                Line("first span first", _attending("model.span_order=first-first")),
            ],
            "The generator with attention, one model for all, as many steps a language (of wo there is little text):": (
                _per_language(_attending(), LANGUAGES)
            ),
            "The parallel decoder, one model for all languages, as many steps a language:": (
                _per_language(_parallel(), CONLL)
            ),
            "The parallel decoder, 500 sentences of the last language:": [
                Line("500 sentences of nl alone", Trial("conll-small", corpora=("nl",), sentences=500)),
                Line("with en, de and es", Trial("conll-small", ("train.steps=4800",), CONLL, sentences=500)),
            ],
        },
        "Dropout, by which the paper gained 4 points of F1, costs in trainings as short as these, and only long ones "
        "can tell what it is worth: the parallel decoder has F1 of {parallel: none} without, "
        "{parallel: dropout 0.2 only} with dropout, {parallel: dropout 0.2, byte dropout 0.05} with byte dropout too "
        "and {parallel: and of units 0.05 and of hashes 0.2} with all, the generator finds {generator: none} % of the "
        "words without and {generator: dropout 0.2} % with it. So it is with depth, as more layers learn later: with "
        "one, two and three layers the parallel decoder has {parallel: 1 layer}, {parallel: 2 layers} and "
        "{parallel: 3 layers}, the generator with one "
        "{generator: 1 layer} % and with two {generator: 2 layers} %. One parallel decoder for all languages is better "
        "in each than one a language, and most where there is little text: {parallel: all in one model: en}, "
        "{parallel: all in one model: de}, {parallel: all in one model: es} and {parallel: all in one model: nl} "
        "against {parallel: en alone: en}, {parallel: de alone: de}, {parallel: es alone: es} and "
        "{parallel: nl alone: nl} F1 in en, de, es and nl, and {parallel: with en, de and es: nl} against "
        "{parallel: 500 sentences of nl alone: nl} with 500 sentences of nl; a generator for all gains in en, it and "
        "sv, and loses in wo ({generator: all in one model: wo} against {generator: wo alone: wo} %). One seed each, "
        "so that less than a point means nothing.",
    ),
}


def section(question: Question, entries: Sequence[Mapping[str, Any]], name: str) -> str:
    """The section of the page; tables with nothing to compare are left out, and so is a section without a table."""
    measured = {head: [line for line in lines if found_scores(entries, line.trial, line.use)]
                for head, lines in question.tables.items()}  # fmt: skip
    tables = {head: lines for head, lines in measured.items() if len(lines) > 1}
    if not tables:
        return ""
    recipes = dict.fromkeys(line.trial.recipe for shown in tables.values() for line in shown)
    lines = [f"## {question.title}", "", question.asked, "", *_scale(list(recipes)), ""]
    for head, shown in tables.items():
        lines += [head, "", *_table(shown, entries)]
    missing = len(list(question.lines())) - sum(map(len, tables.values()))
    lines += [f"Of {len(list(question.lines()))} rows {missing} are not measured yet.", ""] if missing else []
    if question.picture and curves(entries):
        lines += [f"![{question.title.partition(' ')[2]}](questions/{question.picture})", ""]
    answered = _answered(question, entries)
    lines += [f"**{answered}**", ""] if answered else []
    return "\n".join([*lines, f"Again: `python recipes/questions.py {name}`.", ""])


def _answered(question: Question, entries: Sequence[Mapping[str, Any]]) -> str:
    """The answer with its figures; nothing as long as one of them is missing."""
    figures = {}
    for line in question.lines():
        scores = mean_over_seeds(found_scores(entries, line.trial, line.use))
        decoder = "parallel" if line.trial.recipe == "conll-small" else "generator"
        if scores:
            figures[f"{decoder}: {line.name}"] = f"{mean(scores.values()):.1f}"
            figures |= {f"{decoder}: {line.name}: {corpus}": f"{score:.1f}" for corpus, score in scores.items()}
    if not set(PLACE.findall(question.answer)) <= figures.keys():
        return ""
    return PLACE.sub(lambda place: figures[place[1]], question.answer)


def _scale(recipes: Sequence[str]) -> list[str]:
    told = "; ".join(scale_of(name) for name in recipes)
    return [
        f"Measured at a small scale, the same for all rows of a table but for what a row says: {told}. Scores are of "
        "the last checkpoint on development text: accuracy of words (generator, UD English unless a column says "
        "otherwise, 40 kB), F1 of entities (parallel decoder, CoNLL). The spread is the standard deviation over seeds. "
        "Rows were made on two machines, one of which takes two to three times the CPU seconds of the other, and fp32 "
        "instead of bf16."
    ]


def _table(lines: Sequence[Line], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    corpora = list(dict.fromkeys(corpus for line in lines for corpus in line.trial.corpora))
    rows: list[list[object]] = []
    for line in lines:
        found = found_scores(entries, line.trial, line.use)
        scores = mean_over_seeds(found)
        named = identity(line.trial, 0)
        named.pop("seed")
        entry = next(entry for entry in entries if named.items() <= entry.items())
        cells = [scores.get(corpus) for corpus in corpora]
        spread = spread_over_seeds(found)
        sizes = [f"{entry['parameters'] / 1e6:.2f} M", f"{entry['megabytes']:.1f}", entry["cpu_s"]]
        rows.append([line.name, *cells, spread, len(found), *sizes])
    head = ["", *corpora, "spread", "seeds", "parameters", "MB read", "CPU seconds"]
    return table(head, rows)


def curves(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Kind of model -> k and score, as far as they were measured."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in QUESTIONS["bottleneck"].lines():
        scores = mean_over_seeds(found_scores(entries, line.trial, line.use))
        length, _, kind = line.name.removeprefix("k = ").replace(",", "").partition(" ")
        decoder = "parallel decoder" if line.trial.recipe == "conll-small" else "generator"
        if scores:
            found.setdefault(f"{decoder}, {kind}" if kind else decoder, []).append((int(length), scores["en"]))
    return found


def draw_lengths(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Score against k, a curve a kind of model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    for (name, points), style in zip(curves(entries).items(), ("ko-", "ks--", "r^-", "rv--"), strict=False):
        axes.plot(*zip(*points, strict=True), style, label=name)
    unit = "percent: accuracy of words (generator), F1 (parallel)"
    axes.set(xscale="log", xlabel="k, bytes in a segment", ylabel=unit, ylim=(0, 100))
    axes.set_xticks([*LENGTHS, 4096], [str(length) for length in (*LENGTHS, 4096)])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def answer(arguments: argparse.Namespace, *, results: Path, pictures: Path) -> str:
    """Make the lines that are asked for and not there yet; the section of the page."""
    question = QUESTIONS[arguments.question]
    places = Places(arguments.data, arguments.runs / "trials", results / RESULTS, arguments.threads)
    uses: dict[Trial, list[str]] = {}
    chosen = {line.trial for line in question.lines() if not arguments.line or line.name in arguments.line}
    for line in (line for other in QUESTIONS.values() for line in other.lines()):
        if line.trial in chosen and line.use not in uses.setdefault(line.trial, []):
            uses[line.trial].append(line.use)
    measure(uses, arguments.seed or [1], places)
    entries = read_json(places.results) or []
    if question.picture and curves(entries):
        draw_lengths(pictures / question.picture, entries)
    return section_from(results, arguments.question)


def section_from(results: Path, name: str) -> str:
    """The section from what was measured before, nothing if nothing was."""
    return section(QUESTIONS[name], read_json(results / RESULTS) or [], name)


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """What `answer` takes."""
    names = list(dict.fromkeys(line.name for line in QUESTIONS[name].lines()))
    parser.add_argument("--line", action="append", choices=names, metavar="NAME", help=f"may be given several times "
                        f"(default: all): {'; '.join(names)}")  # fmt: skip
    parser.add_argument("--seed", action="append", type=int, help="likewise (default: 1)")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=1)
