"""The paper's model (section 3): one LSTM reads the bytes of a segment, then writes its spans symbol by symbol."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bytespan.config import ModelConfig
from bytespan.neural.dropout import DropoutPlan
from bytespan.vocabulary import Vocabulary

State = tuple[Tensor, Tensor]
"""Hidden and cell state of all layers, each (L, B, H)."""

INITIAL_RANGE = 0.08
"""Weights start uniform in +-0.08 (paper, section 4, after Sutskever et al. 2014)."""


class Generator(nn.Module):
    """Bytes -> states -> `start, length, label ... STOP`.

    By default encoder and decoder are the same LSTM, as in the paper; `config.separate` gives the decoder its own. Of
    an encoder that reads from both ends the decoder is told the sum of both directions' states.
    """

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(vocabulary.input_size, config.embedding)
        self.encoder = nn.LSTM(config.embedding, config.units, config.layers, bidirectional=config.directions == 2)
        self.decoder = nn.LSTM(config.embedding, config.units, config.layers) if config.separate else None
        self.query = nn.Linear(config.units, config.units, bias=False) if config.attention else None
        self.combine = nn.Linear(2 * config.units, config.units) if config.attention else None
        self.output = nn.Linear(config.units, vocabulary.output_size)

    def initialize(self, rng: torch.Generator, *, scheme: str) -> None:
        """Draw all weights afresh: uniform in +-0.08 ("uniform", the paper's), or "orthogonal".

        Orthogonal: embeddings normal with variance 1, recurrent matrices orthogonal a gate, input matrices uniform with
        the variance that keeps the signal's (Glorot), the forget gates' biases raised by 1. Uniform +-0.08 shrinks the
        signal so much through four layers that the loss stood still at 3.5 a symbol where this came to 1.4 (English,
        700 steps); embeddings in +-0.08 alone left the encoder blind to which letters it reads.
        """
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=rng)
                if scheme == "uniform":
                    continue
                if name == "embedding.weight":
                    parameter.normal_(generator=rng)
                elif "weight_hh" in name:
                    for gate in parameter.chunk(4):
                        nn.init.orthogonal_(gate, generator=rng)
                elif "weight_ih" in name:
                    for gate in parameter.chunk(4):
                        nn.init.xavier_uniform_(gate, generator=rng)
                elif "bias_ih" in name:
                    parameter[self.config.units : 2 * self.config.units] += 1.0

    def forward(
        self, inputs: Tensor, lengths: Tensor, fed: Tensor, dropout: DropoutPlan | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (T, B, V) of every decoder step, and the encoder's states (K, B, H), both after dropout.

        inputs: (B, K) int64, input symbols, zero beyond `lengths` (B,), where states mean nothing.
        fed: (B, T) int64, GO, then the gold symbols.
        """
        drop = dropout or _identity
        steps = inputs.shape[1]
        if self.decoder is None:
            # One call reads and writes: the shared LSTM does not know where the segment ends.
            places = lengths[:, None] + torch.arange(fed.shape[1], device=fed.device)  # (B, T)
            symbols = torch.cat([inputs, fed], dim=1).scatter(1, places, fed)  # (B, K + T)
            states, _ = self.encoder(drop(self.embedding(symbols.t())))  # (K + T, B, H)
            states = drop(states)
            encoded = states[:steps]
            decoded = states.gather(0, places.t()[..., None].expand(-1, -1, states.shape[2]))
        else:
            embedded = drop(self.embedding(torch.cat([inputs, fed], dim=1).t()))
            encoded, state = self._read(embedded[:steps], lengths)
            decoded, _ = self._writer(embedded[steps:], state)
            states = drop(torch.cat([encoded, decoded]))
            encoded, decoded = states[:steps], states[steps:]
        return self.output(self._attend(decoded, encoded, lengths)), encoded

    def encode(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """States (K, B, H) and final state of a batch of segments (B, K), for decoding."""
        return self._read(self.embedding(inputs.t()), lengths)

    def step(self, symbols: Tensor, state: State, memory: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Logits (B, V) after feeding one input symbol (B,), and the state then."""
        states, state = self._writer(self.embedding(symbols[None]), state)
        return self.output(self._attend(states, memory, lengths))[0], state

    @property
    def _writer(self) -> nn.LSTM:
        return self.encoder if self.decoder is None else self.decoder

    def _read(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        steps = embedded.shape[0]
        if bool((lengths == steps).all()):
            states, (hidden, cell) = self.encoder(embedded)
        else:
            packed = pack_padded_sequence(embedded, lengths.cpu(), enforce_sorted=False)
            read, (hidden, cell) = self.encoder(packed)
            states = pad_packed_sequence(read, total_length=steps)[0]
        directions = self.config.directions
        states = states.unflatten(2, (directions, -1)).sum(dim=2)  # (K, B, H)
        hidden, cell = (part.unflatten(0, (-1, directions)).sum(dim=1) for part in (hidden, cell))  # (L, B, H)
        return states, (hidden, cell)

    def _attend(self, decoded: Tensor, encoded: Tensor, lengths: Tensor) -> Tensor:
        """Each decoder state, joined with the encoder states it looks at if there is attention (Luong et al. 2015)."""
        if self.query is None or self.combine is None:
            return decoded
        weights = torch.einsum("tbh,kbh->btk", self.query(decoded), encoded)  # (B, T, K)
        beyond = torch.arange(encoded.shape[0], device=lengths.device) >= lengths[:, None]  # (B, K)
        weights = weights.masked_fill(beyond[:, None], -torch.inf).softmax(dim=2)
        seen = torch.einsum("btk,kbh->tbh", weights, encoded)
        return torch.tanh(self.combine(torch.cat([decoded, seen], dim=2)))


class AuxiliaryHead(nn.Module):
    """Asks the encoder, at the byte behind each span, for the label of that span.

    The decoder's own loss reaches the encoder only through the one state at the segment's end, and teaches it first
    where spans lie; this one teaches it what they are, by the shortest way. Training only: no package holds it.
    """

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.output = nn.Linear(config.units, vocabulary.output_size - vocabulary.first_label)

    def initialize(self, rng: torch.Generator) -> None:
        """Draw all weights afresh, uniform in +-0.08."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=rng)

    def loss(self, encoded: Tensor, gold: Tensor) -> Tensor:
        """Summed cross-entropy of (K, B, H) states against (B, K) labels, -100 where no span has just ended."""
        logits = self.output(encoded).float().flatten(0, 1)
        return nn.functional.cross_entropy(logits, gold.t().flatten(), reduction="sum")


def transplant(model: Generator, weights: Mapping[str, Tensor], vocabulary: Vocabulary) -> None:
    """Copy the weights of a model with another vocabulary into `model`: symbols that both know keep their rows."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            source = weights[name]
            if name == "embedding.weight":
                _copy_rows(parameter, source, model.vocabulary.meanings(), vocabulary.meanings())
            elif name.startswith("output."):
                _copy_rows(parameter, source, model.vocabulary.output_meanings(), vocabulary.output_meanings())
            else:
                parameter.copy_(source)


def _copy_rows(
    target: Tensor, source: Tensor, target_meanings: list[tuple[str, ...]], source_meanings: list[tuple[str, ...]]
) -> None:
    row_of = {meaning: row for row, meaning in enumerate(source_meanings)}
    for row, meaning in enumerate(target_meanings):
        if meaning in row_of:
            target[row] = source[row_of[meaning]]


def _identity(states: Tensor) -> Tensor:
    return states
