"""Text in two languages at once: question 8 of docs/questions.md, asked by `questions.py mixing`.

    python recipes/questions.py mixing
    python recipes/questions.py mixing --package conll-en=runs/conll-en/model

A row is one model on one mixture; rows that `recipes/results/questions/mixing.json` holds are not measured again,
unless the model is another one. Models that are not there yet are left out.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from adapting import digest_of
from mixtures import Mixture, clauses_of, mix_clauses, replace_names
from peers import POS_13
from scoring import read_json, write_json
from tables import average, difference, table

from bytespan.corpora.mentions import mentions_of
from bytespan.corpora.reading import read_documents
from bytespan.evaluation import Counts
from bytespan.spans import ENTITIES, TOKENS, Document
from bytespan.tagger import PACKAGED_MODEL, Tagger, load

RECIPES = Path(__file__).parent
TITLE = "8. Code-mixing"
FILE = "mixing.json"


@dataclass(frozen=True, slots=True)
class Setting:
    """A task, one model for all of its languages, and one a language."""

    task: str
    files: str
    languages: Sequence[str]
    clauses: int
    """The most that are taken of a file, from its beginning."""
    shared: str
    """Package of all languages."""
    shared_path: Path
    single: str
    """Package of one language."""

    def models_for(self, language: str, other: str | None) -> list[str]:
        """The packages that are tried on text in one language that is mixed with another."""
        singles = {self.single.format(code): code for code in (language, other) if code}
        return [self.shared, *singles]


SETTINGS = {
    "entities": Setting(ENTITIES, "ner/conll/{}/test.conll", ("en", "de", "es", "nl"), 3000, "conll-parallel",
                        RECIPES / "weights" / "conll-parallel", "conll-{}"),
    "words": Setting(TOKENS, "pos/{}/test.conllu", POS_13, 600, "base", PACKAGED_MODEL, "pos-{}"),
}  # fmt: skip

CLAUSES, NAMES = "clauses", "names"
"""What is mixed."""

TEXT_CLAUSES = 10
"""Clauses of the scored language in one text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model on the text of one language, mixed with another."""

    package: str
    setting: str
    kind: str | None
    """CLAUSES or NAMES, None for unmixed text."""
    language: str
    """Whose clauses are scored."""
    other: str | None
    """Whose clauses stand between them, or whose names in them; may be the same, None for unmixed text."""


def rows_of(name: str, setting: Setting) -> Iterator[Row]:
    """All that can be measured, model by model."""
    kinds = (CLAUSES, NAMES) if setting.task == ENTITIES else (CLAUSES,)
    mixtures: list[tuple[str | None, str, str | None]] = [(None, language, None) for language in setting.languages]
    mixtures += [(kind, one, other) for kind in kinds for one in setting.languages for other in setting.languages]
    for package in (setting.shared, *map(setting.single.format, setting.languages)):
        for kind, language, other in mixtures:
            if package in setting.models_for(language, other):
                yield Row(package, name, kind, language, other)


def measure(
    places: Mapping[str, Path], results: Path, *, data: Path, threads: int, settings: Mapping[str, Setting] = SETTINGS
) -> None:
    """Measure what is not there yet, with the packages of `places`; the result file is written after every row."""
    for name, setting in settings.items():
        texts = {language: read_texts(data / setting.files.format(language), setting) for language in setting.languages}
        for package, rows in groupby(rows_of(name, setting), key=lambda row: row.package):
            if package not in places:
                continue
            model = digest_of(places[package])
            tagger = load(places[package], threads=threads, tuned=False)
            for row in (row for row in rows if not _is_known(row, model, results)):
                entry = (
                    asdict(row) | {"model": model} | asdict(score(tagger, mixtures_of(row, texts, setting), setting))
                )
                kept = [old for old in read_json(results) or [] if not asdict(row).items() <= old.items()]
                write_json(results, [*kept, entry])
                print(f"mixing: {package} on {row.language}, {row.kind} of {row.other}", file=sys.stderr, flush=True)


def _is_known(row: Row, model: str, results: Path) -> bool:
    wanted = asdict(row) | {"model": model}
    return any(wanted.items() <= entry.items() for entry in read_json(results) or [])


Texts = Sequence[Sequence[Document]]
"""Clauses in the order of their file, so many together as make a text."""


def read_texts(path: Path, setting: Setting) -> Texts:
    """The first clauses of a file."""
    clauses = list(islice(clauses_of(read_documents(path), task=setting.task), setting.clauses))
    return [clauses[i : i + TEXT_CLAUSES] for i in range(0, len(clauses), TEXT_CLAUSES)]


def mixtures_of(row: Row, texts: Mapping[str, Texts], setting: Setting) -> list[Mixture]:
    """The texts of a row; a language is mixed with itself by clauses from half its file away."""
    own, task = texts[row.language], setting.task
    if row.kind is None or row.other is None:
        return [mix_clauses(clauses, [], task=task) for clauses in own]
    if row.kind == NAMES:
        names = mentions_of((clause for text in texts[row.other] for clause in text), task=task)
        plain = (mix_clauses(clauses, [], task=task).document for clauses in own)
        return [
            replace_names(document, names, task=task, seed=f"{row.language} {row.other} {number}")
            for number, document in enumerate(plain)
        ]
    others = texts[row.other]
    shift = len(own) // 2 if row.language == row.other else 0
    return [
        mix_clauses(clauses, others[(number + shift) % len(others)], task=task) for number, clauses in enumerate(own)
    ]


def score(tagger: Tagger, mixtures: Sequence[Mixture], setting: Setting) -> Counts:
    """The counts of the parts that are scored: a span belongs to the part that it begins in."""
    total, task = Counts(), setting.task
    found = tagger.pipe([mixture.document.data for mixture in mixtures], tasks=[task])
    for mixture, document in zip(mixtures, found, strict=True):
        gold = set(mixture.document.spans[task])
        predicted = {span for span in document.spans[task] if mixture.owns(span)}
        total += Counts(len(gold & predicted), len(predicted), len(gold))
    return total


Figures = Mapping[tuple[str, str, str | None, str, str | None], float]
"""Package, setting, kind, language and other -> percent."""


def read_figures(results: Path, settings: Mapping[str, Setting] = SETTINGS) -> Figures:
    """F1 of entities, accuracy of words, of what was measured."""
    figures = {}
    for entry in read_json(results) or []:
        counts = Counts(entry["correct"], entry["predicted"], entry["gold"])
        key = (entry["package"], entry["setting"], entry["kind"], entry["language"], entry["other"])
        figures[key] = counts.f1 if settings[entry["setting"]].task == ENTITIES else counts.recall
    return figures


SYSTEMS = ("one model", "one a language, the right one", "one a language, either")

MIXED = ("unmixed", "same language", "another language")
"""What stands between the clauses, or in place of the names."""


def lookup(
    figures: Figures, name: str, setting: Setting, *, system: str, kind: str, language: str, mixed: str
) -> float | None:
    """The figure of a system on one language, the mean over the others for another language; None if one is missing."""
    others = [code for code in setting.languages if code != language]
    whole: dict[str, tuple[str | None, Sequence[str | None]]] = {
        "unmixed": (None, [None]),
        "same language": (kind, [language]),
        "another language": (kind, others),
    }
    chosen, with_ = whole[mixed]
    values: list[float | None] = []
    for other in with_:
        packages = setting.models_for(language, other)
        used = {SYSTEMS[0]: packages[:1], SYSTEMS[1]: packages[1:2], SYSTEMS[2]: packages[1:]}[system]
        values += [figures.get((package, name, chosen, language, other)) for package in used]
    return average(values)


def answer(
    arguments: argparse.Namespace, *, results: Path, pictures: Path, settings: Mapping[str, Setting] = SETTINGS
) -> str:
    """Measure what is not there yet, draw it, and write the section of the page."""
    places = find_packages(dict(arguments.package or ()), arguments.runs, settings)
    measure(places, results / FILE, data=arguments.data, threads=arguments.threads, settings=settings)
    figures = read_figures(results / FILE, settings)
    draw(pictures / "mixing.png", figures, settings)
    return section(figures, settings)


def find_packages(given: Mapping[str, Path], runs: Path, settings: Mapping[str, Setting]) -> dict[str, Path]:
    """Where the packages lie that are there; those that are not are told of."""
    places = {setting.shared: setting.shared_path for setting in settings.values()}
    for setting in settings.values():
        for name in map(setting.single.format, setting.languages):
            places[name] = runs / name / "model"
    places |= given
    missing = [name for name, path in places.items() if not path.exists()]
    if missing:
        print(f"mixing: left out, as they are not in {runs}: {', '.join(missing)}", file=sys.stderr)
    return {name: path for name, path in places.items() if path.exists()}


ASKED = f"""## {TITLE}

The paper's model is told no language, so text in several at once should be no harder for it; the paper claims that, and
does not measure it. What does mixing cost one model for all languages, and models of one language each?

Measured on mixtures made of test files. *Clauses*: what stands between commas and full stops of one language, and
between any two of these clauses one of another language; only the former are scored, so that all mixtures of a language
have the same gold spans. The same with other clauses of the same language tells how much of a loss is by the broken
thread alone. *Names*: every name is replaced by one of the same label from another language's test file, or, likewise,
from its own. *Unmixed*: the clauses in their own order. *Another language* is the mean over all others, and what it has
less than the same language is the cost *by language alone*. Of models of one language, the *right one* is that of the
language that is scored, as if somebody had told which clause is in which language; *either* is the mean of the two of a
mixture, as if one had to be chosen for a line. Every mixture was made once, from a fixed seed. The model of German
alone is from before hashes that byte dropout hides were made up for ([LOG](../recipes/LOG.md)), the others not."""

TABLES = {
    ("entities", CLAUSES): "Entities, clauses in turn: F1 on the first {} clauses of each CoNLL test file.",
    ("entities", NAMES): "Entities, names replaced: F1 on the same clauses.",
    ("words", CLAUSES): "Words, clauses in turn: accuracy on the first {} clauses of 13 test files of `pos/`.",
}


def section(figures: Figures, settings: Mapping[str, Setting] = SETTINGS) -> str:
    """The section of the page."""
    lines = [ASKED, ""]
    for (name, kind), title in TABLES.items():
        if name in settings:
            setting = settings[name]
            lines += [title.format(f"{setting.clauses:,}"), "", *_table(figures, name, setting, kind)]
    lines += ["![What mixing costs](questions/mixing.png)", "", _answer(figures, settings), ""]
    singles = " ".join(f"conll-{code}" for code in SETTINGS["entities"].languages)
    train = f"`python recipes/experiments.py run {singles} pos-en pos-el pos-sv`"
    lines += [f"Again: `python recipes/questions.py mixing`; the models of one language before, by {train}.", ""]
    return "\n".join(lines)


def _table(figures: Figures, name: str, setting: Setting, kind: str) -> list[str]:
    columns: dict[str, list[float | None]] = {}
    for system in SYSTEMS[:2] if kind == NAMES else SYSTEMS:
        found = {
            mixed: [
                lookup(figures, name, setting, system=system, kind=kind, language=language, mixed=mixed)
                for language in setting.languages
            ]
            for mixed in (MIXED if system != SYSTEMS[2] else MIXED[2:])
        }
        if any(value is not None for values in found.values() for value in values):
            columns |= {f"{system}: {mixed}": values for mixed, values in found.items()}
            if system != SYSTEMS[2]:
                columns[f"{system}: by language alone"] = list(map(difference, found[MIXED[2]], found[MIXED[1]]))
    rows = [[language, *values] for language, *values in zip(setting.languages, *columns.values(), strict=True)]
    rows.append(["**mean**", *map(average, columns.values())])
    return table(["", *columns], rows, signed=[title for title in columns if title.endswith("by language alone")])


def _answer(figures: Figures, settings: Mapping[str, Setting]) -> str:
    """Two sentences."""
    costs, others = [], []
    for name, kind in TABLES:
        if name not in settings:
            continue
        setting = settings[name]
        figure = "accuracy" if setting.task == TOKENS else "F1"
        unmixed, same, another = _means(figures, name, setting, kind, SYSTEMS[0], setting.languages)
        if unmixed is not None and same is not None and another is not None:
            cost = f"{another - unmixed:+.1f} {figure} with {kind} of another language against"
            costs.append(f"{name} {cost} {same - unmixed:+.1f} with those of the same")
        known = [
            code
            for code in setting.languages
            if lookup(figures, name, setting, system=SYSTEMS[1], kind=kind, language=code, mixed=MIXED[2]) is not None
        ]
        one, right, either = (_means(figures, name, setting, kind, system, known) for system in SYSTEMS)
        alone = difference(right[2], right[0]), difference(either[2], right[0]), difference(one[2], one[0])
        if alone[0] is not None and alone[2] is not None:
            told = f"{alone[0]:+.1f} {figure} with {kind} of another language"
            either_too = f", {alone[1]:+.1f} with either model" if kind == CLAUSES and alone[1] is not None else ""
            where = "" if len(known) == len(setting.languages) else f" in {', '.join(known)}"
            others.append(f"{name}{where} {told}{either_too} (the one model there {alone[2]:+.1f})")
    compared = "Models of one language have not been measured yet."
    if others:
        compared = f"Models of one language, the right one for each clause, change by: {'; '.join(others)}."
    return f"**Mixing changes one model for all by: {'; '.join(costs)}. {compared}**"


def _means(
    figures: Figures, name: str, setting: Setting, kind: str, system: str, languages: Sequence[str]
) -> list[float | None]:
    """Over these languages: unmixed, and mixed with the same and with another language."""
    return [
        average(
            lookup(figures, name, setting, system=system, kind=kind, language=language, mixed=mixed)
            for language in languages
        )
        for mixed in MIXED
    ]


def draw(path: Path, figures: Figures, settings: Mapping[str, Setting] = SETTINGS) -> None:
    """What clauses of each language cost each, for one model; and the means of all systems."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2 * len(settings), 6), layout="constrained")
    for axes, (name, setting) in zip(
        figure.subplots(1, len(settings), squeeze=False)[0], settings.items(), strict=True
    ):
        costs = [
            [
                difference(
                    figures.get((setting.shared, name, CLAUSES, one, other)),
                    figures.get((setting.shared, name, None, one, None)),
                )
                for other in setting.languages
            ]
            for one in setting.languages
        ]
        grid = np.array([[np.nan if cost is None else cost for cost in row] for row in costs])
        most = max(float(np.nanmax(np.abs(grid))), 1e-9)
        axes.imshow(grid, cmap="RdBu", vmin=-most, vmax=most)
        for (row, column), cost in np.ndenumerate(grid):
            shade = "white" if abs(cost) > 0.6 * most else "black"
            axes.text(column, row, f"{cost:+.1f}", ha="center", va="center", fontsize=8, color=shade)
        places = range(len(setting.languages))
        axes.set_xticks(places, setting.languages)
        axes.set_yticks(places, setting.languages)
        axes.set(title=f"{name}: {setting.shared}", xlabel="clauses of this language between", ylabel="scored")
    figure.suptitle("Points against unmixed text; on the diagonal, other clauses of the same language")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def named_package(text: str) -> tuple[str, Path]:
    """The name and the path of NAME=PATH."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH, such as conll-en=runs/conll-en/model")
    return name, Path(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `answer` takes."""
    parser.add_argument("--package", action="append", type=named_package, metavar="NAME=PATH",
                        help="where a model lies, such as conll-en or pos-en (default: RUNS/NAME/model)")  # fmt: skip
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=1)
