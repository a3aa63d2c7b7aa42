"""Scores and errors of spans."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from bytespan.corpora.jsonlines import json_line, json_of_document
from bytespan.corpora.reading import read_documents
from bytespan.evaluation import (
    ERROR_KINDS,
    Counts,
    Scores,
    list_errors,
    score_annotated,
    score_document,
    score_documents,
)
from bytespan.spans import Document, Span
from strategies import documents

SHARED = Path(__file__).parent.parent.parent / "shared"
SCORER = SHARED / "score" / "score.py"


def document(*spans: Span, task: str = "entities") -> Document:
    return Document(b"x" * 100, {task: spans})


def test_nothing_out_of_nothing_is_zero() -> None:
    assert (Counts().precision, Counts().recall, Counts().f1) == (0, 0, 0)


def test_a_span_is_right_if_start_end_and_label_are() -> None:
    gold = document(Span(0, 5, "PER"), Span(6, 9, "LOC"), Span(10, 12, "LOC"))
    predicted = document(Span(0, 5, "PER"), Span(6, 9, "ORG"), Span(10, 13, "LOC"), Span(20, 21, "LOC"))
    scores = score_document(gold, predicted, task="entities")
    assert scores.labels == {"PER": Counts(1, 1, 1), "LOC": Counts(0, 2, 2), "ORG": Counts(0, 1, 0)}
    assert scores.total == Counts(1, 4, 3)
    assert scores.unlabelled == Counts(2, 4, 3)
    assert (scores.total.precision, round(scores.total.recall, 2), round(scores.total.f1, 2)) == (25, 33.33, 28.57)


def test_labels_that_a_corpus_never_annotates_do_not_count() -> None:
    gold = [document(Span(0, 5, "PER")), document(Span(0, 5, "LOC")), document(Span(0, 5, "NOUN"), task="tokens")]
    predicted = [document(Span(0, 5, "PER"), Span(6, 9, "LOC"), Span(10, 12, "MISC")) for _ in gold]
    scores = score_annotated(gold, predicted, task="entities")
    assert scores.labels == {"PER": Counts(1, 2, 1), "LOC": Counts(0, 2, 1)}
    assert score_annotated([], [], task="entities") == Scores("entities")


def test_models_are_compared_by_accuracy_of_tokens_and_f1_of_entities() -> None:
    gold, predicted = [Span(0, 1, "X"), Span(1, 2, "X")], [Span(0, 1, "X"), Span(1, 2, "Y"), Span(2, 3, "X")]
    for task, main in (("tokens", 50.0), ("entities", 40.0)):
        pair = (document(*gold, task=task), document(*predicted, task=task))
        assert score_documents([pair], task=task).main == main


@given(gold=documents(), predicted=documents())
def test_counts_of_documents_add_up(gold: Document, predicted: Document) -> None:
    pairs = [(gold, predicted), (predicted, gold), (gold, gold)]
    whole = score_documents(pairs, task="entities")
    assert whole.total.gold == whole.total.predicted
    apart = (score_document(*pair, task="entities") for pair in pairs)
    assert sum(apart, Scores("entities")) == whole


@given(gold=documents(), predicted=documents())
def test_errors_account_for_every_span(gold: Document, predicted: Document) -> None:
    errors = list_errors(gold, predicted, task="entities")
    total = score_document(gold, predicted, task="entities").total
    assert sum(error.gold is not None for error in errors) == total.gold - total.correct
    assert sum(error.predicted is not None for error in errors) == total.predicted - total.correct
    assert {error.kind for error in errors} <= set(ERROR_KINDS)


def test_errors_are_told_apart_and_in_order() -> None:
    gold = document(Span(0, 5, "PER"), Span(6, 9, "LOC"), Span(10, 12, "LOC"), Span(20, 25, "ORG"), Span(30, 33, "ORG"))
    predicted = document(
        Span(6, 9, "ORG"), Span(10, 13, "LOC"), Span(18, 22, "PER"), Span(30, 33, "ORG"), Span(40, 41, "X")
    )
    assert [(error.kind, error.start, error.end) for error in list_errors(gold, predicted, task="entities")] == [
        ("missed", 0, 5),
        ("wrong label", 6, 9),
        ("wrong bounds", 10, 13),
        ("wrong label and bounds", 18, 25),
        ("spurious", 40, 41),
    ]


def confused(gold: Document, task: str, rng: random.Random) -> Document:
    """A prediction in which some spans are absent, moved, shortened or labelled otherwise."""
    spans = []
    for span in gold.spans[task]:
        chance = rng.random()
        if chance < 0.1:
            continue
        label = rng.choice(["PER", "NOUN", "new"]) if chance < 0.2 else span.label
        end = span.end - 1 if 0.2 <= chance < 0.3 and span.end - span.start > 1 else span.end
        spans.append(Span(span.start, end, label))
    return Document(gold.data, {"tokens": [], "entities": []} | {task: spans})


@pytest.mark.skipif(not SCORER.exists(), reason="the scorer and its data lie beside the project, not in it")
@pytest.mark.parametrize(
    ("kind", "task", "file"),
    [
        ("ner", "entities", "ner/conll/es/test.conll"),
        ("ner", "entities", "ner/germeval/dev.conll"),
        ("ner", "entities", "ner/uner/en_ewt/test.natural.jsonl"),
        ("pos", "tokens", "pos/fr/dev.conllu"),
        ("pos", "tokens", "pos/yo/test.conllu"),
    ],
)
def test_the_scorer_gives_the_same_figures_on_real_documents(tmp_path: Path, kind: str, task: str, file: str) -> None:
    gold = list(read_documents(SHARED / "data" / file))
    rng = random.Random(1)
    predicted = [confused(truth, task, rng) for truth in gold]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(json_line(json_of_document(d, with_text=False) | {"id": i}) for i, d in enumerate(predicted)),
        encoding="utf-8",
    )
    answer = [sys.executable, "-c", "import sys; sys.stdin.read(); print(open(sys.argv[1]).read())", answers]
    scored = subprocess.run(
        [sys.executable, SCORER, kind, SHARED / "data" / file, "--", *answer], stdout=subprocess.PIPE
    )
    theirs = json.loads(scored.stdout)
    ours = score_documents(zip(gold, predicted, strict=True), task=task)
    assert theirs["spans"] == ours.total.gold
    if task == "tokens":
        figures = (ours.total.recall, ours.unlabelled.f1, ours.total.f1)
        assert [theirs[name] for name in ("accuracy", "token_f1", "upos_f1")] == [
            round(figure, 2) for figure in figures
        ]
    else:
        rows = {"all": theirs} | theirs["labels"]
        for label, counts in ({"all": ours.total} | ours.labels).items():
            assert [rows[label][name] for name in ("precision", "recall", "f1")] == [
                round(figure, 2) for figure in (counts.precision, counts.recall, counts.f1)
            ]
    assert 0 < ours.main < 100
