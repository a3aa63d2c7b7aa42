"""The two decoders behind one door: which model, which weights and which batches a recipe's settings ask for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice

from torch import Tensor

from bytespan.config import ModelConfig, TrainConfig
from bytespan.corpora.annotated import Annotated
from bytespan.errors import ConfigError
from bytespan.neural.batches import BATCHES_PER_POOL, Batch, SegmentSampler
from bytespan.neural.generate import AuxiliaryHead, Generator, transplant
from bytespan.neural.parallel import Parallel, transplant_tags
from bytespan.neural.unit_batches import TaggedBatch, UnitSampler
from bytespan.ngrams import NgramFilter
from bytespan.teaching import Lessons
from bytespan.vocabulary import Vocabulary
from bytespan.workers import in_order

Model = Generator | Parallel
Sampler = SegmentSampler | UnitSampler


def new_model(config: ModelConfig, vocabulary: Vocabulary) -> Model:
    """A model of that shape, its weights not yet drawn; ConfigError for an ensemble, which only a package can be."""
    if config.ensemble > 1:
        raise ConfigError(f"an ensemble of {config.ensemble} models is neither trained nor adapted as one: give one of "
                          "them, and join what comes of each by bytespan export --with")  # fmt: skip
    return Parallel(config, vocabulary) if config.decoder == "parallel" else Generator(config, vocabulary)


def new_auxiliary(config: ModelConfig, vocabulary: Vocabulary) -> AuxiliaryHead | None:
    """What only training adds to the model, if anything."""
    return None if config.decoder == "parallel" else AuxiliaryHead(config, vocabulary)


def new_sampler(
    members: Sequence[Annotated],
    vocabulary: Vocabulary,
    model: ModelConfig,
    train: TrainConfig,
    lessons: Iterable[Lessons] | None = None,
    known: NgramFilter | None = None,
) -> Sampler:
    """The batches of a training.

    For the parallel decoder `lessons` is what teachers say of each document, `known` the n-grams that the model knows.
    """
    if model.decoder == "parallel":
        return UnitSampler(members, vocabulary, model, train, lessons, known)
    return SegmentSampler([member.document for member in members], vocabulary, model, train)


def draw_ahead(sampler: Sampler, steps: range, *, workers: int) -> Iterator[Batch | TaggedBatch]:
    """The batches of these steps, drawn by so many processes while earlier ones are learnt from."""
    pools = range(steps.start // BATCHES_PER_POOL, -(-steps.stop // BATCHES_PER_POOL))
    drawn = chain.from_iterable(in_order(partial(_drawing, sampler), pools, workers=workers))
    first = steps.start % BATCHES_PER_POOL
    return islice(drawn, first, first + len(steps))


def _drawing(sampler: Sampler) -> Callable[[int], Sequence[Batch | TaggedBatch]]:
    return sampler.pool


def adopt_weights(model: Model, weights: Mapping[str, Tensor], vocabulary: Vocabulary) -> None:
    """Copy the weights of a model of the same shape with another vocabulary: what both know keeps its rows."""
    if isinstance(model, Parallel):
        transplant_tags(model, weights, vocabulary)
    else:
        transplant(model, weights, vocabulary)
