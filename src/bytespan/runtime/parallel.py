"""The parallel decoder over ONNX Runtime: a `bytespan.parallel.UnitModel` made from a model package."""

from pathlib import Path

import numpy as np

from bytespan.config import ModelConfig
from bytespan.errors import ModelError
from bytespan.languages import Profiles, profiles_of
from bytespan.lattice import Floats, TagSets
from bytespan.ngrams import NgramFilter, ngrams_of
from bytespan.package import Package, read_package
from bytespan.runtime.session import Arrays, Session
from bytespan.units import HASHES, WIDTH, UnitBatch


class OnnxParallel:
    """Scores the tags of units with the graph of docs/format.md. Many threads may use one."""

    def __init__(self, package: Package, *, threads: int | None = None) -> None:
        """Raise ModelError if the graph is not one for the package's settings and label sets."""
        self._config = package.config
        self._tags = TagSets(package.labels)
        self._profiles = profiles_of(package)
        self._ngrams = ngrams_of(package)
        self._session = Session(package.onnx, source=str(package.path), threads=threads)
        self._check_shapes(str(package.path))

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self._config

    @property
    def tags(self) -> TagSets:
        """The model's tags."""
        return self._tags

    @property
    def profiles(self) -> Profiles | None:
        """The languages that the model tells apart."""
        return self._profiles

    @property
    def ngrams(self) -> NgramFilter | None:
        """The n-grams that the model knows."""
        return self._ngrams

    def score(self, batch: UnitBatch) -> Floats:
        """(T, B, V) the score of every tag of every task at every unit, before any softmax."""
        feeds: Arrays = {
            "rows": batch.rows,
            "symbols": batch.symbols,
            "gaps": batch.gaps,
            "words": batch.words,
            "lengths": batch.lengths.astype(np.int32),
        }
        scores: Floats
        (scores,) = self._session.run(["scores"], feeds)
        return scores

    def _check_shapes(self, source: str) -> None:
        inputs, outputs = self._session.inputs, self._session.outputs
        fits = (
            set(inputs) == {"rows", "symbols", "gaps", "words", "lengths"}
            and inputs["rows"][-1:] == [HASHES]
            and inputs["symbols"][-1:] == [WIDTH]
            and outputs.get("scores", [])[-1:] == [self._tags.size]
        )
        if not fits:
            raise ModelError(f"{source}: model.onnx does not fit config.json and labels.json; export the model again")


def open_parallel(path: str | Path, *, threads: int | None = None) -> OnnxParallel:
    """The parallel decoder in a model package; ModelError if there is none."""
    package = read_package(path, with_weights=False)
    if package.config.decoder != "parallel":
        raise ModelError(f"{path}: a generator, where only a parallel decoder will do: give another model")
    return OnnxParallel(package, threads=threads)
