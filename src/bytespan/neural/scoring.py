"""Development scores while training: the torch model behind the same decoding that tags for users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bytespan.calibration import choose_spans, floors_of, usual_points
from bytespan.config import ModelConfig
from bytespan.decoding import DecoderState, predict_spans
from bytespan.evaluation import Scores, score_annotated
from bytespan.languages import Profiles
from bytespan.lattice import TagSets
from bytespan.neural.generate import Generator
from bytespan.neural.parallel import Parallel
from bytespan.ngrams import NgramFilter
from bytespan.parallel import predict_by_units
from bytespan.spans import Document, Span
from bytespan.units import UnitBatch
from bytespan.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class DevCorpus:
    """Development documents under the name that tables give them."""

    name: str
    documents: tuple[Document, ...]


class TorchSegmentModel:
    """A `decoding.SegmentModel` over torch."""

    def __init__(self, model: Generator) -> None:
        self.model = model
        self.device = next(model.parameters()).device

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.model.config

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's symbols."""
        return self.model.vocabulary

    def encode(self, inputs: NDArray[np.int64], lengths: NDArray[np.int64]) -> DecoderState:
        """See `decoding.SegmentModel`."""
        with torch.inference_mode():
            states, (hidden, cell) = self.model.encode(self._tensor(inputs), self._tensor(lengths))
        memory = states.cpu().numpy() if self.config.attention else None
        return DecoderState(hidden.cpu().numpy(), cell.cpu().numpy(), lengths, memory)

    def step(self, symbols: NDArray[np.int64], state: DecoderState) -> tuple[NDArray[np.float32], DecoderState]:
        """See `decoding.SegmentModel`."""
        memory = torch.zeros(0) if state.memory is None else self._tensor(state.memory)
        with torch.inference_mode():
            before = self._tensor(state.hidden), self._tensor(state.cell)
            logits, (hidden, cell) = self.model.step(self._tensor(symbols), before, memory, self._tensor(state.lengths))
        after = DecoderState(hidden.cpu().numpy(), cell.cpu().numpy(), state.lengths, state.memory)
        return logits.cpu().numpy(), after

    def _tensor(self, array: NDArray[np.int64] | NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


class TorchUnitModel:
    """A `parallel.UnitModel` over torch."""

    def __init__(self, model: Parallel) -> None:
        self.model = model

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.model.config

    @property
    def tags(self) -> TagSets:
        """The model's tags."""
        return self.model.tags

    @property
    def profiles(self) -> Profiles | None:
        """The languages that the model tells apart."""
        return self.model.profiles

    @property
    def ngrams(self) -> NgramFilter | None:
        """The n-grams that the model knows."""
        return self.model.ngrams

    def score(self, batch: UnitBatch) -> NDArray[np.float32]:
        """See `parallel.UnitModel`."""
        device = next(self.model.parameters()).device
        arrays = (batch.rows, batch.symbols, batch.gaps, batch.words, batch.lengths)
        with torch.inference_mode():
            scores: NDArray[np.float32] = (
                self.model(*(torch.from_numpy(item).to(device) for item in arrays)).cpu().numpy()
            )
        return scores


def predict(
    model: Generator | Parallel, data: Sequence[bytes], *, tasks: Sequence[str]
) -> Sequence[Mapping[str, Sequence[Span]]]:
    """The spans of every task in each of some documents, with either decoder, as `Tagger` gives them untuned."""
    if isinstance(model, Parallel):
        points = usual_points(tasks)
        found = predict_by_units(TorchUnitModel(model), data, tasks=tasks, floors=floors_of(points))
        return [choose_spans(points, spans) for spans in found]
    return predict_spans(TorchSegmentModel(model), data, tasks=tasks, batch_size=128)


def score_corpora(model: Generator | Parallel, corpora: Sequence[DevCorpus]) -> dict[tuple[str, str], Scores]:
    """(corpus, task) -> scores, for every task that the corpus annotates and the model knows.

    Predicted spans with a label that the corpus annotates nowhere do not count.
    """
    scores: dict[tuple[str, str], Scores] = {}
    for corpus in corpora:
        annotated = {task for document in corpus.documents for task in document.spans}
        tasks = [task for task in model.vocabulary.tasks if task in annotated]
        found = predict(model, [document.data for document in corpus.documents], tasks=tasks)
        predicted = [Document(gold.data, spans) for gold, spans in zip(corpus.documents, found, strict=True)]
        for task in tasks:
            scores[corpus.name, task] = score_annotated(corpus.documents, predicted, task=task)
    return scores


def mean_score(scores: dict[tuple[str, str], Scores]) -> float:
    """The unweighted mean of all rows' main figures, in percent: by it the best checkpoint is chosen."""
    return float(np.mean([score.main for score in scores.values()])) if scores else 0.0
