"""A trained model as a model package (see docs/format.md), whichever its decoder."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from bytespan.errors import ConfigError
from bytespan.languages import pack_profiles
from bytespan.neural.batches import WORDS
from bytespan.neural.decoders import Model, adopt_weights, new_model
from bytespan.neural.export_generator import generator_graph
from bytespan.neural.export_parallel import parallel_graph
from bytespan.neural.graph import PRECISIONS
from bytespan.neural.parallel import Parallel
from bytespan.ngrams import pack_ngrams
from bytespan.package import Provenance, write_package
from bytespan.vocabulary import Vocabulary


def export_package(
    model: Model,
    path: Path | str,
    *,
    others: Sequence[Model] = (),
    provenance: Provenance,
    precision: str = "fp16",
    with_weights: bool = True,
    sample: bytes | None = None,
    card: str | None = None,
) -> None:
    """Write the model package of a model; `with_weights` adds them in 16 bits, so that it can be trained on.

    With `others` they tag together, as an ensemble (Hansen and Salamon 1990), which cannot be trained on.
    `sample` is what `rehearsal.pack_sample` makes of text that an adaptation of the model should keep in mind.
    The task of writing words, which only training knows, is left out.
    Raises ConfigError for an unknown precision and for others of another shape or other labels, ModelError if the
    package cannot be written.
    """
    model, *others = (_without_words(item) for item in (model, *others))
    weights = {name: _stored(value) for name, value in model.state_dict().items()}
    write_package(
        path,
        config=replace(model.config, ensemble=1 + len(others)),
        labels=model.vocabulary.labels,
        provenance=replace(provenance, precision=precision),
        onnx=export_model(model, *others, precision=precision),
        weights=save(weights) if with_weights and not others else None,
        sample=sample,
        languages=pack_profiles(model.profiles) if isinstance(model, Parallel) and model.profiles else None,
        ngrams=pack_ngrams(model.ngrams) if isinstance(model, Parallel) and model.ngrams else None,
        card=card,
    )


def _stored(value: Tensor) -> Tensor:
    """Weights in 16 bits, whole numbers as they are."""
    value = value.detach().cpu()
    return (value.half() if value.is_floating_point() else value).contiguous()


def export_model(model: Model, *others: Model, precision: str = "fp32") -> bytes:
    """The ONNX file of a model, or of several that tag together.

    ConfigError for a precision that is not one of PRECISIONS, and for others that do not fit the first.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if isinstance(model, Parallel):
        return parallel_graph([model, *(_checked(other, model) for other in others)], precision=precision)
    if others:
        raise ConfigError("generators do not tag together: give parallel decoders, or export them one by one")
    return generator_graph(model, precision=precision)


def _checked(other: Model, model: Parallel) -> Parallel:
    """`other`, if it can tag together with `model`."""
    wanted = asdict(model.config)
    found = asdict(other.config).items()
    apart = [f"{name} is {value!r}, not {wanted[name]!r}" for name, value in found if value != wanted[name]]
    if not isinstance(other, Parallel) or apart:
        raise ConfigError(f"models that tag together must have one shape: in one {', '.join(apart)}")
    if other.vocabulary.labels != model.vocabulary.labels:
        raise ConfigError(f"models that tag together must have the same labels: {dict(other.vocabulary.labels)} "
                          f"are not {dict(model.vocabulary.labels)}")  # fmt: skip
    for name, wanted_buffer in model.named_buffers():
        if not torch.equal(other.get_buffer(name), wanted_buffer):
            raise ConfigError("models that tag together must know the same languages and n-grams: train all on the "
                              "same files")  # fmt: skip
    return other


def _without_words(model: Model) -> Model:
    """The model without the labels of `batches.WORDS`; everything else keeps its weights."""
    labels = {task: members for task, members in model.vocabulary.labels.items() if task != WORDS}
    if labels == model.vocabulary.labels:
        return model
    smaller = new_model(model.config, Vocabulary(model.config.segment_length, labels))
    adopt_weights(smaller, model.state_dict(), model.vocabulary)
    return smaller
