"""What recipes/triples.py and recipes/memory.py say of what a generator writes."""

from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bytespan.config import ModelConfig
from bytespan.corpora.writing import write_documents
from bytespan.decoding import DecoderState, Floats, Ints, Written
from bytespan.package import read_package
from bytespan.runtime.generate import OnnxGenerator
from bytespan.spans import Document, Span
from bytespan.vocabulary import STOP, Vocabulary
from programs import program_of

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")

program = partial(program_of, RECIPES)


class Scripted:
    """A generator that wants to write the symbols of a script, one row a segment, whatever it is fed."""

    def __init__(self, script: list[list[int]], vocabulary: Vocabulary) -> None:
        self.config, self.vocabulary = ModelConfig(segment_length=vocabulary.segment_length), vocabulary
        self._script = script

    def encode(self, inputs: Ints, lengths: Ints) -> DecoderState:
        """A state that counts: cell (1, B, 2) holds the row and the step."""
        cell = np.zeros((1, len(lengths), 2), np.float32)
        cell[0, :, 0] = np.arange(len(lengths))
        return DecoderState(cell, cell, lengths)

    def step(self, symbols: Ints, state: DecoderState) -> tuple[Floats, DecoderState]:
        """The script's symbol is the likeliest, then those near it."""
        row, step = state.cell[0].astype(int).T
        wanted = np.array([(self._script[r] + [STOP] * 99)[s] for r, s in zip(row, step, strict=True)])
        logits = -np.abs(np.arange(self.vocabulary.output_size) - wanted[:, None]).astype(np.float32)
        return logits, replace(state, cell=state.cell + np.array([0, 1], np.float32))


VOCABULARY = Vocabulary(12, {"entities": ("LOC", "PER")})


def triple(start: int, length: int, label: str = "LOC") -> list[int]:
    """Its symbols."""
    return [
        VOCABULARY.first_start + start, VOCABULARY.first_length + length, VOCABULARY.label_symbol("entities", label)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("symbols", "found"),
    [
        ([*triple(8, 2), *triple(4, 3), *triple(0, 2)], {"written": 3, "kept": 3, "right": 1, "kept_right": 1}),
        ([*triple(4, 3), *triple(4, 3)], {"written": 2, "duplicate": 1, "kept": 1, "right": 1, "kept_right": 1}),
        ([*triple(4, 3), *triple(5, 1)], {"written": 2, "overlapping": 1, "kept": 1, "right": 1, "kept_right": 1}),
        ([*triple(0, 1), *triple(4, 3)], {"written": 2, "out of order": 1, "kept": 2, "right": 1, "kept_right": 1}),
        ([*triple(4, 3), *triple(9, 3)], {"written": 2, "beyond": 1, "kept": 1, "right": 1, "kept_right": 1}),
        ([*triple(4, 3), 5, 5, *triple(1, 1)], {"written": 3, "malformed": 1, "kept": 2, "right": 1, "kept_right": 1}),
        ([5] * 99, {"written": 11, "malformed": 11, "endless": 1}),
        ([*triple(4, 3, "PER")], {"written": 1, "cut": 1, "kept": 1}),
    ],
)
def test_every_slip_is_counted_once(symbols: list[int], found: dict[str, int]) -> None:
    triples = program("triples")
    lengths = np.array([10])
    written = Written(np.array([(symbols + [STOP] * 99)[:31]]), np.zeros((1, 31), np.float32))
    broken = np.zeros((2, 1, 13), np.bool_)
    broken[0, 0, 4] = "cut" in found
    (segment,) = triples.judge_batch(Scripted([symbols], VOCABULARY), written, lengths, broken, "entities")
    assert segment.counts({Span(4, 7, "LOC")}) == {"segments": 1, "gold": 1} | found


def test_whole_triples_are_all_that_can_be_written_under_the_constraint() -> None:
    triples = program("triples")
    script = [[5, *triple(1, 1)], [*triple(11, 5), *triple(9, 3)], [VOCABULARY.first_length, 3, 1, 0]]
    model = Scripted(script, VOCABULARY)
    lengths = np.array([10, 10, 3])
    broken = np.zeros((2, 3, 13), np.bool_)
    broken[0, 0, 4] = True  # the start that is wanted
    broken[1, 1, 10] = True  # the end that is wanted
    for row, length in enumerate(lengths):
        broken[:, row, length + 1 :] = True
    written = triples.write(
        model, model.encode(lengths, lengths), broken, task="entities", decoding="whole words and triples"
    )
    for segment in triples.judge_batch(model, written, lengths, broken, "entities"):
        assert segment.spans
        assert (segment.malformed, segment.beyond, segment.cut) == (0, 0, 0)


def test_lists_repeat_a_word_or_none_and_are_as_long(tiny_documents: list[Document]) -> None:
    memory = program("memory")
    asked = memory.Asked(Path(), "tokens", "", (), (0,), " ")
    same, different = memory.word_lists(tiny_documents, asked, size=14).values()
    assert len(same) == len(different) > 0
    for one, other in zip(same, different, strict=True):
        assert len(one.data) == len(other.data) <= 14
        assert len(one.spans["tokens"]) == len(other.spans["tokens"])
        assert len({span.text for span in one.tokens}) == 1
        assert len({span.text for span in other.tokens}) == len(other.tokens)


def test_memory_is_measured_told_of_and_drawn(
    tiny_package: Path, tiny_documents: list[Document], tmp_path: Path
) -> None:
    memory = program("memory")
    with (tmp_path / "xx.jsonl").open("wb") as stream:
        write_documents(tiny_documents, stream, format="jsonl")
    models = {"tiny": memory.Asked(tiny_package, "tokens", "{}.jsonl", ("xx",), (0, 3, 6), " ")}
    arguments = Namespace(model=None, documents=4, data=tmp_path, threads=1)
    section = memory.answer(arguments, results=tmp_path, pictures=tmp_path, models=models)
    assert section == memory.section(memory.read_results(tmp_path, models))
    assert "`tiny`, free (4 documents of each test file):" in section
    assert "questions.py memory --model tiny --documents 4" in section
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")
    counted = memory.read_results(tmp_path, models)["tiny"]["running text"]["free"]
    whole = memory.total(counted)
    windows = OnnxGenerator(read_package(tiny_package, with_weights=False), threads=1).config.segment_length
    assert windows == 48
    assert whole["right"] == whole["gold"] == whole["written"] > 0  # it knows them by heart


def test_the_section_on_memory_is_what_the_result_files_say() -> None:
    memory = program("memory")
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    results = memory.read_results(RECIPES / "results" / "questions")
    assert results
    assert memory.section(results).rstrip("\n") in page, "run python recipes/questions.py memory"
    assert (ROOT / "docs" / "questions" / "memory.png").exists()
