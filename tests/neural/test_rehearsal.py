"""The sample that a package carries, and how a model is held to what another said of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bytespan.config import ModelConfig
from bytespan.errors import ModelError
from bytespan.neural.decoders import adopt_weights
from bytespan.neural.export import export_package
from bytespan.neural.parallel import Parallel
from bytespan.neural.rehearsal import Rehearsal, draw_sample, pack_sample, read_sample
from bytespan.ngrams import NgramFilter
from bytespan.package import SAMPLE, Package, Provenance, read_package
from bytespan.spans import Document
from bytespan.vocabulary import Vocabulary
from networks import random_parallel
from strategies import texts

LABELS = {"tokens": ("NOUN", "VERB"), "entities": ("PER",)}
MORE = {"tokens": ("VERB", "NOUN"), "dishes": ("SOUP",), "entities": ("DATE", "PER")}
CONFIG = ModelConfig(
    "parallel", segment_length=100, layers=2, units=12, embedding=6, table_rows=64, table_width=8, kernels=10,
    unit_width=14,
)  # fmt: skip
TEXTS = [b"Angela Merkel besuchte Paris. In paris, PARIS!", "東京は大きい".encode(), b"x"]


def package_with(sample: bytes | None) -> Package:
    return Package(
        Path("old"), CONFIG, Vocabulary(100, LABELS), Provenance("old"), {} if sample is None else {SAMPLE: sample}
    )


def learnt(old: Parallel, labels: dict[str, tuple[str, ...]]) -> Parallel:
    """A model with other label sets that says what the old one does of tags that both know."""
    model = random_parallel(CONFIG, labels, seed=1)
    adopt_weights(model, old.state_dict(), old.vocabulary)
    return model


@given(st.lists(texts))
def test_a_sample_is_read_as_it_was_packed(members: list[str]) -> None:
    data = [text.encode() for text in members]
    assert read_sample(package_with(pack_sample(data))) == data
    assert pack_sample(data) == pack_sample(data)


def test_a_package_without_sample_has_no_text() -> None:
    assert read_sample(package_with(None)) == []


@pytest.mark.parametrize("damage", [b"no gzip", pack_sample([b"x" * 99])[:-9], pack_sample([])[:4]], ids=repr)
def test_a_damaged_sample_is_refused_by_name(damage: bytes) -> None:
    with pytest.raises(ModelError, match=r"sample\.jsonl\.gz: not a sample"):
        read_sample(package_with(damage))


def test_a_sample_is_part_of_the_package_but_not_of_what_tagging_reads(tmp_path: Path) -> None:
    model = random_parallel(CONFIG, LABELS, seed=0)
    export_package(model, tmp_path / "model.zip", provenance=Provenance("old"), sample=pack_sample(TEXTS))
    assert read_sample(read_package(tmp_path / "model.zip")) == TEXTS
    assert SAMPLE not in read_package(tmp_path / "model.zip", with_weights=False).files


@given(st.lists(texts), st.integers(0, 200))
def test_a_drawn_sample_holds_the_first_lines_and_no_more_than_was_asked_for(members: list[str], size: int) -> None:
    drawn = draw_sample((Document(text.encode()) for text in members), size)
    assert sum(map(len, drawn)) <= size
    assert all(any(text.encode().startswith(piece) for text in members) for piece in drawn)


def test_a_drawn_sample_ends_with_a_line_or_else_a_word_and_is_utf_8() -> None:
    assert draw_sample([Document(b"one two\nthree four")], 12) == [b"one two"]
    assert draw_sample([Document(b"one two three")], 12) == [b"one two"]
    assert draw_sample([Document(b"\xff one"), Document(b"two")], 12) == [b"two"]


def test_the_old_model_itself_has_not_moved() -> None:
    old = random_parallel(CONFIG, LABELS, seed=0)
    assert Rehearsal(old, TEXTS, seed=1).loss(old, 0).item() == pytest.approx(0, abs=1e-5)


def test_a_model_that_knows_more_ngrams_is_held_to_what_the_old_one_said_without_them() -> None:
    """The same weights: what the new n-grams say is all the divergence."""
    old = random_parallel(replace(CONFIG, known_bits=64), LABELS, seed=0)
    more = NgramFilter(np.full(8, 255, np.uint8))
    assert Rehearsal(old, TEXTS, known=old.ngrams, seed=1).loss(old, 0).item() == pytest.approx(0, abs=1e-5)
    assert Rehearsal(old, TEXTS, known=more, seed=1).loss(old, 0).item() > 0.01


def test_the_loss_is_the_divergence_of_the_tags_that_both_models_know() -> None:
    """Against a slow reference, for label sets in another order, with a label and a task more, and hidden hashes."""
    old = random_parallel(CONFIG, LABELS, seed=0)
    model = learnt(old, MORE)
    rehearsal = Rehearsal(old, TEXTS, seed=1)
    batch = rehearsal.sampler.batch(3)
    units, shown = batch.units, batch.shown
    arrays = (units.rows, units.symbols, units.gaps, units.words, units.lengths, shown)
    inputs = [torch.from_numpy(array) for array in arrays]
    assert 0 < (shown > 0).mean() < 1  # some hashes are hidden, from both alike
    with torch.no_grad():
        before, after = old(*inputs), model(*inputs)
    total = 0.0
    for column, length in enumerate(units.lengths.tolist()):
        for t in range(length):
            for task in LABELS:
                p, q = (m.tags.columns[task] for m in (old, model))
                shares, logs = before[t, column, p].softmax(0), after[t, column, q].log_softmax(0)
                meanings = [[tag for name, tag in m.tags.meanings() if name == task] for m in (old, model)]
                for tag, share in zip(meanings[0], shares, strict=True):
                    total += float(share * (share.log() - logs[meanings[1].index(tag)]))
    assert rehearsal.loss(model, 3).item() == pytest.approx(total / int(units.lengths.sum()), rel=1e-4)
    assert total > 0  # the new label has a share of its own


def test_every_step_asks_of_other_text_and_a_step_that_is_taken_again_of_the_same() -> None:
    old, model = (random_parallel(CONFIG, LABELS, seed=seed) for seed in (0, 5))
    one, other = (Rehearsal(old, TEXTS, seed=1) for _ in range(2))
    losses = [one.loss(model, step).item() for step in range(70)]
    assert len(set(losses)) == len(losses)
    assert [other.loss(model, step).item() for step in (3, 69)] == [losses[3], losses[69]]
