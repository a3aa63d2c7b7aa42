"""What teachers say of documents: the mean of what each says, unit by unit, however they read."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from bytespan.config import CorpusConfig
from bytespan.corpora.annotated import Annotated
from bytespan.errors import ConfigError, LabelError
from bytespan.lattice import TagSets
from bytespan.neural.scoring import TorchUnitModel
from bytespan.spans import Document
from bytespan.teaching import KEPT, Lesson, Lessons, ask_teachers
from bytespan.units import PART_BYTES, collate_units, cut_units
from networks import CONFIG, random_parallel

PUPIL = {"entities": ("DATE", "LOC", "PER"), "tokens": ("NOUN", "VERB")}
TEACHERS = {
    "both": TorchUnitModel(random_parallel(CONFIG, {"tokens": ("VERB", "NOUN"), "entities": ("PER", "LOC")}, seed=1)),
    "names": TorchUnitModel(
        random_parallel(replace(CONFIG, segment_length=57, table_rows=31), {"entities": ("DATE", "PER")}, seed=2)
    ),
}
TEXTS = [b"Angela Merkel besuchte Paris.", b"", "東京は大きい です".encode(), b" ", b"x"]


def asked_for(*names: str, texts: list[bytes] = TEXTS, tasks: tuple[str, ...] = tuple(PUPIL)) -> list[Annotated]:
    """Documents of a corpus that annotates some tasks and has some teachers."""
    known = {task: frozenset(PUPIL[task]) for task in tasks}
    return [
        Annotated(Document(text, {task: [] for task in tasks}), known, 1, CorpusConfig(teachers=names))
        for text in texts
    ]


def ask(members: list[Annotated], labels: Mapping[str, tuple[str, ...]] = PUPIL) -> list[Lessons]:
    return list(ask_teachers(members, labels, TEACHERS.__getitem__))


def dense(lesson: Lesson, count: int) -> np.ndarray:
    """(U, N) the probabilities of all tags."""
    shares = np.zeros((len(lesson.tags), count))
    np.put_along_axis(shares, lesson.tags.astype(np.int64), lesson.shares, axis=1)
    return shares


def slow_answer(name: str, text: bytes, task: str) -> list[dict[str, float]]:
    """Of each unit, tag -> probability, by one look at the whole text."""
    model = TEACHERS[name].model
    batch = collate_units([cut_units(text)], rows=model.config.table_rows)
    inputs = (batch.rows, batch.symbols, batch.gaps, batch.words, batch.lengths)
    with torch.no_grad():
        shares = model(*map(torch.from_numpy, inputs))[:, 0, model.tags.columns[task]].double().softmax(1).tolist()
    tags = [tag for known, tag in model.tags.meanings() if known == task]
    return [dict(zip(tags, row, strict=True)) for row in shares]


@pytest.mark.parametrize(
    ("names", "task"), [(("both",), "tokens"), (("both",), "entities"), (("both", "names"), "entities")]
)
def test_lesson_is_the_mean_of_what_each_teacher_says_of_the_pupils_tags(names: tuple[str, ...], task: str) -> None:
    """Against a slow reference; what no teacher knows has no probability."""
    tags = [tag for known, tag in TagSets(PUPIL).meanings() if known == task]
    for text, lessons in zip(TEXTS, ask(asked_for(*names)), strict=True):
        if not len(cut_units(text)):
            assert lessons == {}
            continue
        answers = [slow_answer(name, text, task) for name in names]
        expected = [
            [sum(answer.get(tag, 0.0) for answer in unit) / len(names) for tag in tags]
            for unit in zip(*answers, strict=True)
        ]
        assert dense(lessons[task], len(tags)) == pytest.approx(np.array(expected), abs=2e-3)
        known = {"DATE", "LOC", "PER"} if "names" in names else {"LOC", "PER"}
        assert lessons[task].labels == (known if task == "entities" else {"NOUN", "VERB"})


def test_a_teacher_without_a_task_has_no_part_in_it() -> None:
    alone, beside = (ask(asked_for(*names))[0]["tokens"] for names in (["both"], ["both", "names"]))
    assert np.array_equal(alone.shares, beside.shares)
    assert set(ask(asked_for("names"))[0]) == {"entities"}
    assert set(ask(asked_for("both", tasks=("tokens",)))[0]) == {"tokens"}


def test_teachers_of_other_windows_keep_in_step_over_documents_of_any_size() -> None:
    texts = [b"Ana saw Rom. " * 30, b"", b"Bo, " * (PART_BYTES // 3), *TEXTS, b"Ulm " * 300]
    one, other, both = (ask(asked_for(*names, texts=texts)) for names in (["both"], ["names"], ["both", "names"]))
    for text, *lessons in zip(texts, one, other, both, strict=True):
        if len(cut_units(text)):
            first, second, mean = (dense(lesson["entities"], 7) for lesson in lessons)
            assert len(mean) == len(cut_units(text))
            assert mean == pytest.approx((first + second) / 2, abs=1e-3)


def test_the_likeliest_tags_are_kept_and_add_up_to_one() -> None:
    labels = {"entities": ("PER", "LOC", *(f"L{i}" for i in range(200))), "tokens": ("NOUN", "VERB")}
    teacher = TorchUnitModel(random_parallel(CONFIG, {"entities": labels["entities"]}, seed=3))
    (lessons,) = ask_teachers(asked_for("many", texts=[b"Ana saw Bo in Rom, Ulm"]), labels, {"many": teacher}.get)
    lesson = lessons["entities"]
    assert lesson.tags.shape == (7, KEPT)
    assert lesson.tags.max() > 255  # more tags than a byte can number
    assert lesson.shares.sum(axis=1, dtype=np.float64) == pytest.approx(np.ones(7), abs=2e-3)
    assert (np.diff(lesson.shares, axis=1) <= 0).all()


def test_documents_of_corpora_without_teachers_have_no_lessons() -> None:
    members = [*asked_for(), *asked_for("names"), *asked_for(), *asked_for("both", tasks=("tokens",))]
    found = [set(lessons) for lessons in ask(members)]
    taught = [{"entities"} if len(cut_units(text)) else set() for text in TEXTS]
    words = [{"tokens"} if len(cut_units(text)) else set() for text in TEXTS]
    assert found == [set()] * len(TEXTS) + taught + [set()] * len(TEXTS) + words


def test_a_teacher_of_labels_that_the_pupil_lacks_is_refused_before_it_reads() -> None:
    answers = ask_teachers(asked_for("both"), PUPIL | {"entities": ("DATE", "PER")}, TEACHERS.__getitem__)
    with pytest.raises(LabelError, match="both: teaches the entities labels LOC, which no training corpus has"):
        next(answers)


def test_a_teacher_of_other_tasks_than_its_corpus_is_refused() -> None:
    with pytest.raises(ConfigError, match="names: teaches entities, but its corpus annotates tokens: give another"):
        ask([*asked_for("both"), *asked_for("names", tasks=("tokens",))])
