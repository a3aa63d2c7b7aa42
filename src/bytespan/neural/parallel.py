"""The parallel decoder: every unit of a segment is read in both directions and given the scores of its tags at once.

Of a unit the model reads its bytes (a convolution and the largest value over them), rows of a table of hashed n-grams,
and what stands before it. Two or more bidirectional LSTM layers read the units; between the first and the second every
unit is also told the mean state of all units of the segment that are the same word, so that a name that one place makes
plain is known in another. For comparison, the LSTMs may read from the start alone.

Letters in shapes: T units, B segments, H LSTM units a direction, D directions, V tags of all tasks.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bytespan.config import ModelConfig
from bytespan.languages import BUCKETS, Profiles
from bytespan.lattice import TagSets
from bytespan.neural.batches import IGNORED
from bytespan.neural.dropout import DropoutPlan
from bytespan.ngrams import UNKNOWN, NgramFilter
from bytespan.units import GAPS, HASHES, PAD, WIDTH
from bytespan.vocabulary import Vocabulary

GAP_WIDTH = 8
KERNEL = 3
"""Bytes that the convolution sees at once."""


class Parallel(nn.Module):
    """Units -> scores of tags."""

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.tags = TagSets(vocabulary.labels)
        self.table = nn.Embedding(config.table_rows, config.table_width)
        self.bytes = nn.Embedding(PAD + 1, config.embedding)
        self.gaps = nn.Embedding(GAPS, GAP_WIDTH)
        self.convolution = nn.Linear(KERNEL * config.embedding, config.kernels)
        self.input = nn.Linear(HASHES * config.table_width + config.kernels + GAP_WIDTH, config.unit_width)
        read = config.directions * config.units
        widths = [config.unit_width, *(read * (2 if i == 0 else 1) for i in range(config.layers - 1))]
        self.forwards, self.backwards = (
            nn.ModuleList(nn.LSTM(width, config.units) for width in widths if is_read)
            for is_read in (True, config.directions == 2)
        )
        self.output = nn.Linear(read, self.tags.size)
        if config.languages:
            self.register_buffer("languages", torch.zeros(BUCKETS, len(config.languages), dtype=torch.int8))
        if config.known_bits:
            self.register_buffer("ngrams_met", torch.zeros(config.known_bits // 8, dtype=torch.uint8))

    @property
    def profiles(self) -> Profiles | None:
        """The languages that it tells apart, if any: counted, not trained."""
        names = self.config.languages
        return Profiles(names, self.get_buffer("languages").cpu().numpy()) if names else None

    def know(self, profiles: Profiles) -> None:
        """Take these for the languages of its config."""
        self.get_buffer("languages").copy_(torch.from_numpy(profiles.logs))

    @property
    def ngrams(self) -> NgramFilter | None:
        """The n-grams that it knows, None if it takes all for known."""
        return NgramFilter(self.get_buffer("ngrams_met").cpu().numpy()) if self.config.known_bits else None

    def meet(self, ngrams: NgramFilter) -> None:
        """Know these n-grams besides those that it knows."""
        known = self.get_buffer("ngrams_met")
        known.bitwise_or_(torch.from_numpy(ngrams.bits).to(known.device))

    def initialize(self, rng: torch.Generator) -> None:
        """Draw all weights afresh: orthogonal recurrent matrices, Glorot input matrices, forget gates open."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name == "table.weight":
                    parameter.normal_(std=0.015, generator=rng)  # an n-gram never met hardly counts
                elif name in ("bytes.weight", "gaps.weight"):
                    parameter.normal_(generator=rng)
                elif "weight_hh" in name:
                    for gate in parameter.chunk(4):
                        nn.init.orthogonal_(gate, generator=rng)
                elif parameter.dim() == 2:
                    for gate in parameter.chunk(4 if "weight_ih" in name else 1):
                        nn.init.xavier_uniform_(gate, generator=rng)
                else:
                    parameter.zero_()
                    if "bias_ih" in name:
                        parameter[self.config.units : 2 * self.config.units] = 1.0

    def forward(
        self,
        rows: Tensor,
        symbols: Tensor,
        gaps: Tensor,
        words: Tensor,
        lengths: Tensor,
        shown: Tensor | None = None,
        dropout: DropoutPlan | None = None,
    ) -> Tensor:
        """Scores (T, B, V). The first arguments are those of `units.UnitBatch`.

        shown: (T, B, HASHES) what byte dropout leaves of each hash (`unit_batches.TaggedBatch`); all of them if None.
        """
        drop = _identity if dropout is None else dropout.locked
        seen = (rows != UNKNOWN).to(torch.float32)  # (T, B, HASHES)
        if shown is not None:
            seen = seen * shown
        hashed = self.table(rows.clamp_min(0)) * seen[..., None]  # (T, B, HASHES, table_width)
        told = [hashed.flatten(2), self._read_bytes(symbols), self.gaps(gaps)]
        states = drop(nn.functional.gelu(self.input(drop(torch.cat(told, dim=2)))))
        backward = _backward_order(lengths, len(rows))  # (T, B)
        same = _same_words(words)  # (B, T, T)
        for layer, ahead in enumerate(self.forwards):
            read = [ahead(states)[0]]
            if self.config.directions == 2:
                from_end, _ = self.backwards[layer](_reorder(states, backward))
                read.append(_reorder(from_end, backward))
            states = torch.cat(read, dim=2)  # (T, B, D H)
            if layer == 0 and self.config.layers > 1:
                elsewhere = torch.bmm(same.to(states.dtype), states.transpose(0, 1)).transpose(0, 1)
                states = torch.cat([states, elsewhere], dim=2)  # (T, B, 2 D H)
            states = drop(states)
        scores: Tensor = self.output(states)
        return scores

    def _read_bytes(self, symbols: Tensor) -> Tensor:
        """(T, B, kernels) the largest value of each kernel over a unit's bytes, symbols (T, B, WIDTH)."""
        embedded = nn.functional.pad(self.bytes(symbols), (0, 0, KERNEL // 2, KERNEL // 2))
        seen = torch.cat([embedded[:, :, i : i + WIDTH] for i in range(KERNEL)], dim=3)
        return torch.relu(self.convolution(seen).amax(dim=2))


def _backward_order(lengths: Tensor, steps: int) -> Tensor:
    """(T, B) the unit that is read at each step from the end; padding stays where it is. Its own inverse."""
    places = torch.arange(steps, device=lengths.device)[:, None]
    return torch.where(places < lengths, lengths - 1 - places, places)


def _reorder(states: Tensor, order: Tensor) -> Tensor:
    return states.gather(0, order[..., None].expand(-1, -1, states.shape[2]))


def _same_words(words: Tensor) -> Tensor:
    """(B, T, T) weights of the mean over all units that are the same word, words (T, B)."""
    same = (words[:, None] == words[None]).float()  # (T, T, B)
    return (same / same.sum(dim=1, keepdim=True)).permute(2, 0, 1)


def summed_loss(
    scores: Tensor,
    gold: Tensor,
    free: Tensor | None,
    taught: tuple[Tensor, Tensor] | None = None,
    *,
    unmarked_weight: float = 0.0,
    gold_weight: float = 1.0,
) -> Tensor:
    """Summed cross-entropy of scores (M, N) of one task against gold tags (M,), IGNORED where there is none.

    free: (M, N) true at tags of labels that nobody annotates or teaches there. O then means "O, or one of those", but
    for `unmarked_weight` of the loss, where it means O.
    taught: tags (M, K) and their probabilities (M, K) according to teachers, or zeros; where they are, gold tags have
    `gold_weight` of the loss and those the rest.
    """
    logs = scores.log_softmax(dim=1)
    if free is not None:
        outside = torch.cat([logs[:, :1], logs[:, 1:].masked_fill(~free[:, 1:], -torch.inf)], dim=1).logsumexp(dim=1)
        logs = torch.cat([torch.lerp(outside, logs[:, 0], unmarked_weight)[:, None], logs[:, 1:]], dim=1)
    wanted = logs.gather(1, gold.clamp_min(0)[:, None])[:, 0]
    if taught is not None:
        tags, shares = taught
        told = (shares * logs.gather(1, tags)).sum(dim=1)
        wanted = torch.where(shares[:, 0] > 0, torch.lerp(told, wanted, gold_weight), wanted)
    return -wanted[gold != IGNORED].sum()


def summed_divergence(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """What scores (T, B, N) of one task differ by from others of the same units, weight (T, B), in nats: the divergence
    of each's tags from the other's, both added up (R-Drop, Liang et al. 2021)."""
    first, second = one.log_softmax(dim=2), other.log_softmax(dim=2)
    return (((first.exp() - second.exp()) * (first - second)).sum(dim=2) * weight).sum()


def transplant_tags(model: Parallel, weights: Mapping[str, Tensor], vocabulary: Vocabulary) -> None:
    """Copy the weights of a model with other label sets into `model`: tags that both know keep their rows."""
    row_of = {meaning: row for row, meaning in enumerate(TagSets(vocabulary.labels).meanings())}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("output."):
                parameter.copy_(weights[name])
                continue
            for row, meaning in enumerate(model.tags.meanings()):
                if meaning in row_of:
                    parameter[row] = weights[name][row_of[meaning]]


def begin_faintly(model: Parallel, *, known: Parallel, by: float) -> None:
    """Let each label of a known task that `known` lacks be as likely as nothing is, less so many nats.

    At first it then changes little.
    """
    rows, new = model.tags.meanings(), set(model.tags.meanings()) - set(known.tags.meanings())
    with torch.no_grad():
        for row, (task, tag) in enumerate(rows):
            if (task, tag) in new and task in known.vocabulary.labels:
                outside = rows.index((task, "O"))
                model.output.weight[row] = model.output.weight[outside]
                model.output.bias[row] = model.output.bias[outside] - by


def _identity(states: Tensor) -> Tensor:
    return states
