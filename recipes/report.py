"""Write `docs/results.md`, its tables and its pictures, from the result files of `recipes/results`.

    python recipes/report.py

Nothing is trained or scored here: `recipes/experiments.py` and `recipes/peers.py` do that. What was not measured is an
en dash.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from experiments import CURVES, EXPERIMENTS, JOINED, RESULTS, ROOT
from peers import POS_13, POS_MORE, SIZES, UNER
from peers import RESULTS as PEER_RESULTS
from scoring import read_json
from tables import average, best, difference, table

PAGE = ROOT / "docs" / "results.md"

CONLL = ("en", "de", "es", "nl")
CONLL_FILES = tuple(f"ner/conll/{language}/test.conll" for language in CONLL)
PUBLISHED = {
    "paper, one model": (86.50, 76.22, 82.95, 82.84),
    "paper, one a language": (84.57, 72.08, 81.83, 78.08),
    "CharNER (Kuru et al. 2016)": (84.52, 70.12, 82.18, 79.36),
    "Klein et al. 2003": (86.07, 71.90, None, None),
    "Lample et al. 2016, no pretrained vectors": (83.63, None, None, None),
}
"""F1 on the CoNLL test files by systems that had the training data only, as published."""

PAPER_POS = (97.84, 98.50, 95.52, 92.87, 97.39, 93.87, 95.80, 96.82, 95.48, 95.75, 92.85, 97.56, 95.57)
"""The paper's accuracy on the 13 languages, Universal Dependencies 1.1 with all of their training text."""

MORE_POS = (*POS_MORE, "fr_gsd", "sv_lines", "it_partut")
POS_FILES = {name: f"pos/{name}/test.conllu" for name in (*POS_13, *MORE_POS)}
SPACED = (*(f"ner/uner/{name}/test.conll" for name in UNER), "ner/germeval/test.conll")
NATURAL = tuple(f"ner/uner/{name}/test.natural.jsonl" for name in ("en_ewt", "sv_talbanken"))
AFRICAN = ("hau", "ibo", "kin", "lug", "swa", "wol", "yor", "zul")
AFRICAN_FILES = tuple(f"ner/masakhaner2/{name}/test.conll" for name in AFRICAN)
PEERS = {"udpipe": "UDPipe", "spacy": "spaCy", "crf": "CRF"}


@dataclass(frozen=True, slots=True)
class Results:
    """All result files."""

    experiments: Mapping[str, dict[str, Any]]
    """Name -> what `experiments.py` wrote."""
    peers: Sequence[dict[str, Any]]
    """Entries of `peers.json`."""

    def figure(self, name: str, file: str, metric: str) -> float | None:
        """A score of an experiment on a file; None if it was not measured."""
        return _figure(self.experiments.get(name, {}).get("scores", []), file, metric)

    def mean_figure(self, names: Iterable[str], file: str, metric: str) -> float | None:
        """The mean score of some experiments on a file; None unless all were measured."""
        return average(self.figure(name, file, metric) for name in names)

    def peer(self, peer: str, file: str, metric: str, sentences: int | None = None) -> float | None:
        """A score of a peer that was trained in the file's folder."""
        folder = file.rpartition("/")[0]
        found = (e for e in self.peers if (e["peer"], e["folder"], e["sentences"]) == (peer, folder, sentences))
        return next((_figure(entry["scores"], file, metric) for entry in found), None)


def read_results() -> Results:
    """The result files that are there."""
    read = {experiment.name: read_json(RESULTS / f"{experiment.name}.json") for experiment in EXPERIMENTS}
    return Results({name: result for name, result in read.items() if result}, read_json(PEER_RESULTS) or [])


def _figure(scores: Iterable[Mapping[str, Any]], file: str, metric: str) -> float | None:
    return next((score.get(metric) for score in scores if score["file"] == file), None)


def again(*names: str, peers: bool = False) -> list[str]:
    """The line that says how the figures are made."""
    calls = [f"`python recipes/experiments.py run {' '.join(names)}`"] if names else []
    calls += ["`python recipes/peers.py run`"] if peers else []
    return [f"Again: {', '.join(calls)}.", ""]


def conll_rows(results: Results) -> dict[str, Sequence[float | None]]:
    """System -> F1 on each of CONLL_FILES."""
    one_model = [results.figure("conll-parallel", file, "f1") for file in CONLL_FILES]
    network = [results.mean_figure(JOINED, file, "f1") for file in CONLL_FILES]
    each = [results.figure(f"conll-{name}", file, "f1") for name, file in zip(CONLL, CONLL_FILES, strict=True)]
    rows: dict[str, Sequence[float | None]] = {
        "bytespan, one model": one_model,
        "bytespan, one network": network,
        "bytespan, one a language": each,
    }
    peers = {peer: [results.peer(peer, file, "f1") for file in CONLL_FILES] for peer in ("crf", "spacy")}
    return rows | PUBLISHED | {f"{PEERS[peer]}, trained here": values for peer, values in peers.items()}


def conll(results: Results) -> list[str]:
    """Entities of the four CoNLL languages beside what others published and reach here."""
    rows = conll_rows(results)
    return [
        "## Entities: CoNLL-2002/2003",
        "",
        "F1 on the test files. All systems had the training data alone: no other text and no pretrained vectors. What "
        f"is not trained here is quoted from its paper. bytespan's one model is an ensemble of {len(JOINED)} networks, "
        "trainings of the same design with other random numbers, whose scores are averaged, and gives spans from the "
        "threshold on that is best on the development files (`bytespan tune`); one "
        "network is the mean of the three, and one a language is one such network each.",
        "",
        *table(("F1", *CONLL, "mean"), [(name, *values, average(values)) for name, values in rows.items()]),
        *again("conll-parallel", *(f"conll-{language}" for language in CONLL), peers=True),
        "![F1 on CoNLL](results/conll.png)",
        "",
    ]


def parts_of_speech(results: Results) -> list[str]:
    """Words of every folder beside the peers that were trained in that folder."""
    lines = [
        "## Words with part of speech",
        "",
        "F1 of spans with their tag (`upos_f1`): a word counts if it was found and tagged rightly. One model for all "
        "languages (`base`) against peers that were trained on the folder's training file alone (`it_partut` has "
        "none of its own). The CRF has no trained tokenizer: where it is far behind (fa, fr, it, yo, pcm) see its "
        "`token_f1` in `recipes/results/peers.json` before blaming its tags.",
        "",
    ]
    for metric, text in (("upos_f1", ""), ("accuracy", "Accuracy, the share of gold words found with their tag:")):
        head = ("folder", "bytespan", *PEERS.values(), "bytespan less best peer")
        rows = [_peer_row(results, name, file, metric, PEERS) for name, file in POS_FILES.items()]
        thirteen = [row[1:] for row in rows[: len(POS_13)]]
        means = [average(column[i] for column in thirteen) for i in range(len(PEERS) + 1)]
        mean_row = ("**mean of the first 13**", *means, difference(means[0], best(means[1:])))
        rows = [*rows[: len(POS_13)], mean_row, *rows[len(POS_13) :]]
        lines += [*([text, ""] if text else []), *table(head, rows, signed=head[-1:])]
    return [*lines, *again("base", peers=True), "![UPOS F1 of every folder](results/pos.png)", ""]


def _peer_row(results: Results, title: str, file: str, metric: str, peers: Iterable[str]) -> tuple[Any, ...]:
    """A title, the figure of `base`, those of the peers, and by how much `base` is above the best of them."""
    ours = results.figure("base", file, metric)
    theirs = [results.peer(peer, file, metric) for peer in peers]
    return (title, ours, *theirs, difference(ours, best(theirs)))


def entities(results: Results) -> list[str]:
    """Entities of Universal NER and GermEval beside CRF and spaCy, in both spacings."""
    head = ("F1", "bytespan", "CRF", "spaCy", "bytespan less best peer")
    spaced = [_peer_row(results, _title(file), file, "f1", ("crf", "spacy")) for file in SPACED]
    means = [average(row[i] for row in spaced) for i in (1, 2, 3)]
    mean_row = ("**mean**", *means, difference(means[0], best(means[1:])))
    natural = [_peer_row(results, f"{_title(file)}, natural", file, "f1", ("crf", "spacy")) for file in NATURAL]
    return [
        "## Entities: Universal NER and GermEval",
        "",
        "Tokens are set off by spaces in the corpus files; two of them exist as people write it too (natural). "
        "GermEval has four classes here. The peers learnt from the spaced files.",
        "",
        *table(head, [*spaced, mean_row, *natural], signed=head[-1:]),
        *again("base", peers=True),
        "![F1 on Universal NER and GermEval](results/entities.png)",
        "",
    ]


def silver(results: Results) -> list[str]:
    """The packaged model beside the one that it began with, which learnt from annotated names alone."""
    rows: list[tuple[Any, ...]] = []
    for title, files, metric in (
        ("names of the nine files above, mean", SPACED, "f1"),
        *((f"{_title(file)}, natural", (file,), "f1") for file in NATURAL),
        ("Spanish names (`ner/conll/es`)", ("ner/conll/es/test.conll",), "f1"),
        ("words of 13 languages, mean", [POS_FILES[name] for name in POS_13], "upos_f1"),
    ):
        gold, both = (average(results.figure(name, file, metric) for file in files) for name in ("base-gold", "base"))
        rows.append((title, gold, both, difference(both, gold)))
    keys = ("file", "f1", "precision", "recall", "lines", "right")
    lines = [tuple(row[key] for key in keys) for row in results.experiments.get("base", {}).get("lines", ())]
    return [
        "### Names in other languages",
        "",
        "Words of twenty languages are annotated, names of nine. `base-gold` learnt from these; `base` went on from "
        "there with names in fifteen treebanks besides, which `base-gold`, and for the last stages an earlier `base`, "
        "found at their proper nouns, or which were told by hand to be places, persons or organizations, those of two "
        "languages of MasakhaNER 2.0, and copies of running text in which half of the names are others of their kind, "
        "from other languages, made up, or institutions told by hand; in its last stages also with some 9,500 passages "
        "in 14 languages that were written for this, none of them one whose names are tested above "
        "([how](../recipes/README.md)). No Spanish name of either is annotated by others; the CoNLL text was for "
        "measuring alone, and has names of a fourth kind, MISC, that neither could learn in Spanish.",
        "",
        *table(("test", "base-gold", "base", "gain"), rows, signed=("gain",)),
        "The names that a reader finds in the eighteen languages of the sample are in "
        "[examples/languages-names.jsonl](../examples/languages-names.jsonl), 174 in other lines of ours in twenty "
        "languages in [recipes/held-out.jsonl](../recipes/held-out.jsonl), for `bytespan evaluate`: no tests, as the "
        "first were looked at while the names to learn from were chosen, and the second chose between trainings.",
        "",
        *table(("lines of ours", "F1", "precision", "recall", "lines", "with all names right"), lines),
        *again("base-gold", "base"),
    ]


def _title(file: str) -> str:
    """The folder's last name."""
    return file.split("/")[-2]


def african(results: Results) -> list[str]:
    """The model of African languages."""
    rows = [(f"{_title(file)}, entities, F1", results.figure("african", file, "f1")) for file in AFRICAN_FILES]
    rows.append(("**mean**", average(figure for _, figure in rows)))
    files = [POS_FILES[name] for name in ("yo", "wo", "pcm")]
    rows += [(f"{_title(file)}, words, UPOS F1", results.figure("african", file, "upos_f1")) for file in files]
    return [
        "## African languages",
        "",
        "One model (`african`) for the entities of MasakhaNER 2.0 and the words of three treebanks, called by the "
        "folders of the data.",
        "",
        *table(("test file", "bytespan"), rows),
        *again("african"),
    ]


ALONE = (
    *((f"ner/conll/{language}/test.conll", "f1", JOINED, f"conll-{language}") for language in CONLL),
    *((f"pos/{language}/test.conllu", "upos_f1", ("base",), f"pos-{language}") for language in ("en", "el", "sv")),
    ("ner/uner/en_ewt/test.conll", "f1", ("base",), "ewt-en"),
    ("ner/uner/en_ewt/test.natural.jsonl", "f1", ("base",), "ewt-en"),
)
"""Test file, metric, the trainings on all (their mean counts) and the training on that corpus alone."""


def together(results: Results) -> list[str]:
    """One model for all against one a language."""
    rows: list[tuple[Any, ...]] = [
        (file, results.mean_figure(everything, file, metric), results.figure(alone, file, metric))
        for file, metric, everything, alone in ALONE
    ]
    means = [average(row[i] for row in rows) for i in (1, 2)]
    head = ("test file", "one model for all", "one a language", "gain")
    lines = [(*row, difference(row[1], row[2])) for row in [*rows, ("**mean**", *means)]]
    return [
        "## One model for all against one a language",
        "",
        "The same recipe with one corpus instead of all of them, one network each; CoNLL for all is the mean of "
        "the three networks of the ensemble, and `base` learnt in batches of 192 and 32 segments, the others in "
        "batches of 8. F1 of entities, UPOS F1 of words.",
        "",
        *table(head, lines, signed=head[-1:]),
        *again(*dict.fromkeys(name for *_, everything, alone in ALONE for name in (*everything, alone))),
    ]


def sizes(results: Results) -> list[str]:
    """What each model weighs and took."""
    lost = ("words lose", "entities lose")
    size = ("parameters", "in the n-gram table", "package, MB", "weights")
    head = ("model", *size, *lost, "steps", "hours", "seed", "commit")
    rows = []
    for name, result in results.experiments.items():
        if not name.endswith("-free"):
            training, parameters = result["training"], result["parameters"]
            weight = (f"{parameters['dense']:,}", f"{parameters['table']:,}", result["megabytes"], result["precision"])
            steps = f"{training['steps']:,}" if "steps" in training else None
            price = [lost_points(result, task) for task in ("tokens", "entities")]
            hours = training.get("hours")
            if result.get("device", "cpu") != "cpu":
                hours = f"{hours:.2f} (GPU)"
            rows.append((name, *weight, *price, steps, hours, result["seed"], result["commit"]))
    return [
        "## Size and training time",
        "",
        "Parameters besides those of the table of hashed n-grams, of which a text reads a few rows; the package; "
        "what its weights lose by being rounded, in points of accuracy of words and of F1 of entities, the mean over "
        "the development files (below 0 is a gain); hours of optimizer steps without scoring, on a core of a CPU that "
        "other work shared, those of `base` on two, those of `base-gold` on an H200 GPU that two other trainings "
        "shared; the commit that it was packaged at, with a + if files had changed since. `base` and `african` began "
        "with the weights of `base-gold`, whose steps and hours come on top of theirs.",
        "",
        *table(head, rows),
    ]


def lost_points(result: Mapping[str, Any], task: str) -> float | None:
    """What rounding the weights cost on the development files of a task, on the mean; None if nobody measured it."""
    return average(price["exact"] - price["rounded"] for price in result.get("price", ()) if price["task"] == task)


SPREAD = (
    *((file, "f1", JOINED) for file in CONLL_FILES),
    (POS_FILES["en"], "upos_f1", ("pos-en", "pos-en-seed2", "pos-en-seed3")),
)
"""Test file, metric, and the same training with three seeds."""


def spread(results: Results) -> list[str]:
    """The same training with three seeds."""
    rows = []
    for file, metric, runs in SPREAD:
        values = [results.figure(run, file, metric) for run in runs]
        known = [value for value in values if value is not None]
        rows.append((f"{file}, {metric}", *values, average(values), stdev(known) if len(known) == 3 else None))
    names = dict.fromkeys(run for *_, runs in SPREAD for run in runs)
    return [
        "## Spread over seeds",
        "",
        "The same training three times, with other random numbers: what differs by less than this may be chance. "
        "Entities: one model for four languages, the three networks of the ensemble, the first of which was trained "
        "for longer and otherwise ([how](../recipes/README.md)); words: of English alone.",
        "",
        *table(("test", "first", "second", "third", "mean", "standard deviation"), rows),
        *again(*names),
    ]


LEARNING = (
    ("conll-en", CONLL_FILES[0], "f1", ("crf", "spacy"), 14041, "English entities, CoNLL: F1"),
    ("pos-en", POS_FILES["en"], "upos_f1", ("udpipe", "crf"), 12544, "English words, UD EWT: UPOS F1"),
)
"""Experiment, test file, metric, peers, sentences of the whole training file, title."""


def learning(results: Results) -> list[str]:
    """Scores over the size of the training set."""
    lines = ["## Learning curves", "", "The first 1,000 and 3,000 sentences of the training file, and all.", ""]
    for name, _, _, _, total, title in LEARNING:
        sizes_shown = (f"{size:,}" for size in (*SIZES, total))
        rows = [(system, *values) for system, values in learning_rows(results, name).items()]
        lines += table((title, *sizes_shown), rows)
    names = [run for name, *_ in LEARNING for run in (*(f"{name}-{size}" for size in SIZES), name)]
    return [*lines, *again(*names, peers=True), "![Learning curves](results/learning.png)", ""]


def learning_rows(results: Results, name: str) -> dict[str, list[float | None]]:
    """System -> its figures at each size."""
    file, metric, peers = next((row[1], row[2], row[3]) for row in LEARNING if row[0] == name)
    runs = [*(f"{name}-{size}" for size in SIZES), name]
    rows = {"bytespan": [results.figure(run, file, metric) for run in runs]}
    for peer in peers:
        rows[PEERS[peer]] = [results.peer(peer, file, metric, size) for size in (*SIZES, None)]
    return rows


def generator(results: Results) -> list[str]:
    """The paper's own decoder, as far as it was trained here."""
    decodings = {"whole words": "", "free": "-free"}
    files = [POS_FILES[name] for name in POS_13]
    ner: dict[str, Sequence[float | None]] = {
        title: [results.figure(f"conll-paper{suffix}", file, "f1") for file in CONLL_FILES]
        for title, suffix in decodings.items()
    }
    pos: dict[str, Sequence[float | None]] = {
        title: [results.figure(f"pos-paper{suffix}", file, "accuracy") for file in files]
        for title, suffix in decodings.items()
    }
    ner["paper"], pos["paper"] = PUBLISHED["paper, one model"], PAPER_POS
    trained = (results.experiments.get(name, {}).get("training", {}) for name in ("conll-paper", "pos-paper"))
    hours = " and ".join(f"{training['hours']:.1f}" if training else "no" for training in trained)
    lines = [
        "## The paper's generator",
        "",
        f"The design of Gillick et al. 2016, trained for {hours} hours of a core where its authors took days of a CPU "
        '([how](../recipes/README.md)). "Whole words" lets spans begin and end only where words do; "free" is the '
        "paper's decoding. Several of the 13 languages have only a small substitute training set here, so the paper's "
        "accuracy is out of reach on them.",
        "",
    ]
    for head, rows in ((("F1", *CONLL), ner), (("accuracy", *POS_13), pos)):
        lines += table((*head, "mean"), [(title, *values, average(values)) for title, values in rows.items()])
    names = " ".join(f"{name}{suffix}" for name in ("conll-paper", "pos-paper") for suffix in decodings.values())
    return [*lines, f"Again, from the packages: `python recipes/experiments.py score {names}`.", ""]


UNSCALED = ("conll-parallel-seed1", "conll-de")
"""Trainings in which hidden hashes were not made up for, and which nobody has made again since (recipes/LOG.md)."""
UNKNOWING = (*JOINED, *UNSCALED, "conll-en", "conll-es", "conll-nl", "pos-el")
"""Trainings that do not know which n-grams they met; nobody has made them again since."""

HEAD = """# Results

Everything is scored from raw text by exact spans, on test files that no training read: with
`../shared/score/score.py`, the paper's generator (below) with `bytespan evaluate`, which counts in the same way.
"bytespan" is the parallel decoder, `base` the packaged model; "the paper" is Gillick et al. 2016, *Multilingual
Language Processing From Bytes*. Peers are other taggers, trained here on the same files; "best peer" is the best of
those that have been measured. Rows are called by the folders of the data: most are language codes.

How often `base` draws each corpus was decided knowing on which of these tests it was behind a peer; its weights, step
and threshold were chosen on development files, but how much recall counts in the threshold by the README's sample. So
its margins over peers are a little flattered.

Figures are percents; an en dash stands for what has not been measured yet. Commands run in the project's root, with
the data in `../shared/data`, which is not part of the project; `python recipes/experiments.py list` tells what each
experiment is, and this page is made from `recipes/results/*.json` by `python recipes/report.py`.

"""


def page(results: Results) -> str:
    """The whole of docs/results.md."""
    parts = (conll, parts_of_speech, entities, silver, together, spread, learning, sizes, african, generator)
    lines = [line for part in parts for line in part(results)]
    return HEAD + "\n".join([*unscaled(), *lines, *curves(), *budgets(results)])


def unscaled() -> list[str]:
    """Which trainings would be a little better if they were made again."""
    names, unknowing = (", ".join(f"`{name}`" for name in group) for group in (UNSCALED, UNKNOWING))
    return [
        f"{names}: these were trained and scored before hashes that byte dropout hides were made up for, "
        "which gave others 0.3 to 2 points ([how much](../recipes/LOG.md)); beside those they are low. "
        f"{unknowing}: these do not know which n-grams they met, which is worth 0.1 to 0.9 points, and 1 "
        "to 2 to names in many languages (the same page).",
        "",
    ]


def curves() -> list[str]:
    """The learning curves of the trainings whose pictures are there."""
    names = [experiment.name for experiment in EXPERIMENTS if (CURVES / f"training-{experiment.name}.png").exists()]
    told = "Loss on the training text, and scores on the development files, hour by hour."
    return ["## Trainings", "", told, "", *(f"![Training of {name}](results/training-{name}.png)\n" for name in names)]


def budgets(results: Results) -> list[str]:
    """What each peer was given."""
    rows = [
        (f"{PEERS[e['peer']]} {e['folder']}", e["sentences"] or "all", e["budget"], e.get("cpu_s"), e["source"])
        for e in results.peers
    ]
    head = ("peer", "sentences", "budget", "CPU seconds", "measured by")
    told = (
        "How much each peer was allowed to train. UDPipe trains until its epochs are over, the CRF until its "
        "iterations are, spaCy until it gets no better or its time is up."
    )
    return ["## What the peers were given", "", told, "", *table(head, rows)]


def main() -> None:
    """Run the command."""
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    from pictures import draw_pictures

    results = read_results()
    draw_pictures(results, CURVES)
    PAGE.write_text(page(results), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
