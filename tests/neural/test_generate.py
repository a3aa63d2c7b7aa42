"""The paper's model: its size, its variants, and that reading and writing in one call is reading, then writing."""

import itertools
from dataclasses import replace

import pytest
import torch

from bytespan.config import PRESETS, ModelConfig
from bytespan.neural.generate import DropoutPlan, Generator, transplant
from bytespan.vocabulary import Vocabulary

LABELS = {"entities": ("LOC", "MISC", "ORG", "PER")}
VARIANTS = [
    ModelConfig(segment_length=12, layers=layers, units=8, embedding=6, separate=separate, attention=attention)
    for layers, separate, attention in itertools.product((1, 2), (False, True), (False, True))
]
VARIANTS += [replace(config, bidirectional=True) for config in VARIANTS if config.separate]


def make_model(config: ModelConfig, *, seed: int = 1) -> Generator:
    model = Generator(config, Vocabulary(config.segment_length, LABELS))
    model.initialize(torch.Generator().manual_seed(seed), scheme="uniform")
    return model


def size_of(model: Generator) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_paper_presets_have_the_sizes_that_the_paper_names() -> None:
    assert size_of(make_model(PRESETS["paper"])) == pytest.approx(3.45e6, rel=0.005)
    assert size_of(make_model(PRESETS["paper-1m"])) == pytest.approx(0.98e6, rel=0.01)


def test_separate_decoder_adds_exactly_one_more_lstm() -> None:
    shared, separate = make_model(ModelConfig()), make_model(ModelConfig(separate=True))
    lstm = sum(parameter.numel() for parameter in shared.encoder.parameters())
    assert size_of(separate) - size_of(shared) == lstm


def test_encoder_of_both_ways_tells_what_stands_behind_a_byte_too() -> None:
    for config in VARIANTS:
        states = [
            make_model(config).encode(torch.tensor([[1, 2, 3, last]]), torch.tensor([4]))[0][:3] for last in (4, 5)
        ]
        assert torch.equal(*states) == (config.directions == 1)


@pytest.mark.parametrize("config", VARIANTS, ids=str)
@pytest.mark.parametrize("lengths", [[12, 12, 12], [12, 3, 7]], ids=["equal", "mixed"])
def test_forward_equals_encoding_and_then_stepping(config: ModelConfig, lengths: list[int]) -> None:
    model = make_model(config)
    inputs = torch.randint(0, 256, (3, 12), generator=torch.Generator().manual_seed(2))
    fed = torch.randint(257, 260, (3, 5), generator=torch.Generator().manual_seed(3))
    sizes = torch.tensor(lengths)
    for row, length in enumerate(lengths):
        inputs[row, length:] = 0
    together, _ = model(inputs, sizes, fed)
    for row, length in enumerate(lengths):  # the slow, obvious way: one segment, unpadded, one symbol at a time
        one = sizes[row : row + 1]
        memory, state = model.encode(inputs[row : row + 1, :length], one)
        for t in range(fed.shape[1]):
            logits, state = model.step(fed[row : row + 1, t], state, memory, one)
            torch.testing.assert_close(logits[0], together[t, row], atol=1e-5, rtol=1e-4)


def test_dropout_masks_of_parts_are_the_parts_of_the_whole_mask() -> None:
    states = torch.ones(3, 6, 5)
    whole = DropoutPlan(0.5, torch.Generator().manual_seed(4))(states)
    parts = [
        DropoutPlan(0.5, torch.Generator().manual_seed(4), rows=rows, total=6)(states[:, rows])
        for rows in (slice(0, 3), slice(3, 6))
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert set(whole.unique().tolist()) == {0.0, 2.0}


def test_orthogonal_start_has_orthogonal_gates_and_open_forget_gates() -> None:
    model = Generator(VARIANTS[0], Vocabulary(12, LABELS))
    model.initialize(torch.Generator().manual_seed(1), scheme="orthogonal")
    for gate in model.encoder.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=1e-5)
    assert model.encoder.bias_ih_l0[8:16].min() > 0.9


def test_uniform_start_stays_within_the_papers_range() -> None:
    assert all(parameter.abs().max() <= 0.08 for parameter in make_model(VARIANTS[0]).parameters())


def test_transplanted_weights_follow_the_meaning_of_each_symbol() -> None:
    """A label that moves in the label set, or a longer segment, must not change what the known symbols mean."""
    source = make_model(VARIANTS[0])
    vocabulary = Vocabulary(14, {"entities": ("DATE", "LOC", "MISC", "ORG", "PER"), "tokens": ("NOUN",)})
    target = Generator(ModelConfig(segment_length=14, layers=1, units=8, embedding=6), vocabulary)
    transplant(target, source.state_dict(), source.vocabulary)
    old, new = source.vocabulary, target.vocabulary
    torch.testing.assert_close(
        target.output.weight[new.label_symbol("entities", "PER")],
        source.output.weight[old.label_symbol("entities", "PER")],
    )
    torch.testing.assert_close(target.embedding.weight[new.go("entities")], source.embedding.weight[old.go("entities")])
    fed_length = (new.first_fed_output + new.first_length + 5, old.first_fed_output + old.first_length + 5)
    torch.testing.assert_close(target.embedding.weight[fed_length[0]], source.embedding.weight[fed_length[1]])
    torch.testing.assert_close(target.encoder.weight_hh_l0, source.encoder.weight_hh_l0)
