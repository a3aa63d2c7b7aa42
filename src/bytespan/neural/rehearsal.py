"""What keeps a model from forgetting while it learns something new: it says of old text what it always said.

A model package may carry a sample of text from what the model was trained on (`sample.jsonl.gz`, see docs/format.md).
While the model is adapted, every second step also asks for the old model's probabilities of every tag on some of that
text (learning by distillation, Hinton et al. 2015; without forgetting, Li and Hoiem 2016). Labels that the old model
did not know are taken to be absent from it. No annotation is needed, so the sample is plain text. Both models read it
with the same bytes and hashes dropped, others at every step: so little text would be learnt by heart otherwise.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bytespan.config import CorpusConfig, TrainConfig
from bytespan.corpora.annotated import Annotated
from bytespan.corpora.reading import read_documents
from bytespan.errors import ModelError
from bytespan.languages import language_of
from bytespan.neural.parallel import Parallel
from bytespan.neural.unit_batches import UnitSampler
from bytespan.ngrams import NgramFilter
from bytespan.package import SAMPLE, Package
from bytespan.spans import Document
from bytespan.units import cut_units

Inputs = tuple[Tensor, ...]
"""The arguments of `Parallel.forward`."""

EVERY = 2
"""Steps from one rehearsal to the next: fewer of them, with more weight, keep as much and save time."""

BATCH = 4
"""Segments a step."""

SEGMENT_BYTES = 512
"""Most bytes in a segment."""


class Rehearsal:
    """Text with what a model says of it."""

    def __init__(self, old: Parallel, texts: Sequence[bytes], *, known: NgramFilter | None = None, seed: int) -> None:
        """`known`: the n-grams that the model in training knows; the old one may know fewer."""
        self.old = old
        settings = TrainConfig(
            batch_size=BATCH,
            segment_bytes=SEGMENT_BYTES,
            byte_dropout=0.05,
            unit_dropout=0.1,
            hash_dropout=0.3,
            language_dropout=0.1,
            seed=seed,
        )
        task = next(iter(old.vocabulary.labels))  # any: what is annotated does not count
        members = [
            Annotated(Document(text, {task: []}), {}, len(text), CorpusConfig(language=_language(old, text)))
            for text in texts
        ]
        self.before, self.sampler = (
            UnitSampler(members, old.vocabulary, old.config, settings, known=each) for each in (old.ngrams, known)
        )

    def loss(self, model: Parallel, step: int) -> Tensor:
        """How far a model has moved from the old one on this step's text.

        The mean over units of the Kullback-Leibler divergence, in nats, of the tag distributions, summed over tasks.
        """
        inputs, wanted = self._batch(step)
        scores = model(*inputs).float()
        inside = _inside(inputs)
        loss = torch.zeros((), device=scores.device)
        for task, before in zip(self.old.tags.columns, wanted, strict=True):
            columns = model.tags.columns[task]
            after = scores[..., columns][inside].log_softmax(dim=1)[:, self.old.tags.places_in(model.tags, task)]
            loss = loss + (before.exp() * (before - after)).sum() / len(before)
        return loss

    def _batch(self, step: int) -> tuple[Inputs, list[Tensor]]:
        """What the model reads, and of each task the old model's log-probabilities (units, tags)."""
        device = next(self.old.parameters()).device
        batch = self.sampler.batch(step)
        units = batch.units
        arrays = (units.rows, units.symbols, units.gaps, units.words, units.lengths, batch.shown)
        inputs = tuple(torch.from_numpy(array).to(device) for array in arrays)
        rows = torch.from_numpy(self.before.batch(step).units.rows).to(device)  # all else is drawn alike
        with torch.no_grad():
            scores = self.old(rows, *inputs[1:])[_inside(inputs)]
        return inputs, [scores[:, columns].log_softmax(dim=1) for columns in self.old.tags.columns.values()]


def _language(model: Parallel, text: bytes) -> str:
    """What a model that knows languages takes the text's for."""
    return language_of(cut_units(text), model.profiles) if model.profiles else ""


def _inside(inputs: Inputs) -> Tensor:
    """(T, B) where there is a unit."""
    gaps, lengths = inputs[2], inputs[4]
    return torch.arange(len(gaps), device=gaps.device)[:, None] < lengths


def read_sample(package: Package) -> list[bytes]:
    """The texts of the sample that a package carries, none if it carries none; ModelError for a damaged one."""
    data = package.files.get(SAMPLE)
    if data is None:
        return []
    try:
        lines = gzip.decompress(data).splitlines()  # of bytes: text has line ends of its own
        return [str(json.loads(line)["text"]).encode("utf-8") for line in lines]
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{package.path / SAMPLE}: not a sample as docs/format.md says: {error}") from error


def pack_sample(texts: Iterable[bytes]) -> bytes:
    """The file that `read_sample` reads; the same texts give the same bytes."""
    lines = (json.dumps({"text": text.decode("utf-8")}, ensure_ascii=False) for text in texts)
    return gzip.compress("".join(f"{line}\n" for line in lines).encode("utf-8"), mtime=0)


def sample_files(files: Sequence[str | Path], size: int) -> list[bytes]:
    """About `size` bytes of text of each file, from its beginning.

    Raises CorpusError for a file that cannot be read or holds no document.
    """
    return [text for file in files for text in draw_sample(read_documents(file), size)]


def draw_sample(documents: Iterable[Document], size: int) -> list[bytes]:
    """The first lines of a corpus, about `size` bytes in all; text that is not UTF-8 is passed over."""
    texts: list[bytes] = []
    for document in documents:
        if size <= 0:
            break
        text = _beginning(document.data, size)
        if text:
            texts.append(text)
            size -= len(text)
    return texts


def _beginning(data: bytes, size: int) -> bytes:
    """Its whole lines within `size` bytes, or the first line's whole words if that is longer."""
    text = data[:size]
    if len(data) > size:
        text = text.rpartition(b"\n")[0] or text.rpartition(b" ")[0]
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return b""
    return text
