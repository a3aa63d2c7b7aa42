"""Text -> Document, the one way to run a model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bytespan.errors import ConfigError, LabelError, ModelError
from bytespan.package import Package, Provenance, read_package
from bytespan.runtime.batching import open_model, tag_documents
from bytespan.spans import Document, encode_text

PACKAGED_MODEL = Path(__file__).with_name("models") / "base"
"""The model that comes with bytespan."""

Text = str | bytes | Document
"""What can be tagged. Of a document only its bytes and identifier count, not the spans that it has."""


class Tagger:
    """A model ready to tag. Many threads may use one at the same time."""

    def __init__(self, package: Package, *, threads: int | None = None) -> None:
        """Use `load` to get one from a path. `threads`: the most that one call uses, all CPUs if None."""
        self._package = package
        self._model = open_model(package, threads=threads)

    def __call__(self, text: Text, *, tasks: Sequence[str] | None = None, beam_size: int = 1) -> Document:
        """The text with its spans of all tasks, or of some.

        Offsets count in the text as given. Bytes that are not UTF-8 are tagged as they are, with byte offsets only.
        Raises CorpusError for a lone surrogate, LabelError for a task that this model does not have.
        """
        return next(self.pipe([text], tasks=tasks, beam_size=beam_size))

    def pipe(
        self, texts: Iterable[Text], *, tasks: Sequence[str] | None = None, beam_size: int = 1
    ) -> Iterator[Document]:
        """Each text as by `__call__`, lazily and in order; far faster than one by one, in bounded memory.

        Reads ahead by about three times as many texts as it has given out, up to 512 texts or 64 KiB.
        """
        if isinstance(texts, (str, bytes, bytearray)):
            raise TypeError("pipe takes an iterable of texts: call the tagger itself for a single one")
        if beam_size < 1:
            raise ConfigError(f"beam_size must be at least 1, got {beam_size}")
        if beam_size > 1 and self._package.config.decoder == "parallel":
            raise ConfigError(f"beam_size must be 1, got {beam_size}: the parallel decoder of {self.path} always finds "
                              "the best spans")  # fmt: skip
        wanted = self._tasks(tasks)
        documents = (as_document(text) for text in texts)
        return tag_documents(self._model, documents, tasks=wanted, beam_size=beam_size)

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the model can do, e.g. "tokens" and "entities"."""
        return self._package.vocabulary.tasks

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Task -> its label set."""
        return self._package.labels

    @property
    def card(self) -> str:
        """The model's card in Markdown: languages, licence, training data, scores."""
        return self._package.card

    @property
    def provenance(self) -> Provenance:
        """What the card says, field by field."""
        return self._package.provenance

    @property
    def path(self) -> Path:
        """Where the model was loaded from."""
        return self._package.path

    def __repr__(self) -> str:
        return f"<Tagger {self.provenance.name} {self.provenance.version}: {', '.join(self.tasks)}>"

    def _tasks(self, tasks: Sequence[str] | None) -> tuple[str, ...]:
        wanted = self.tasks if tasks is None else (tasks,) if isinstance(tasks, str) else tuple(tasks)
        for task in wanted:
            if task not in self.tasks:
                raise LabelError(f"task {task!r} is not one of this model's ({', '.join(self.tasks)})")
        return wanted


def load(path: str | Path | None = None, *, threads: int | None = None, whole_words: bool | None = None) -> Tagger:
    """The tagger of a model directory or zip file, or of the packaged model.

    `threads`: the most that one call uses, all CPUs if None. `whole_words`: whether spans may only begin and end where
    words do, whatever the model's own setting; a parallel decoder knows no other way, and False raises ConfigError.
    Raises ModelError if there is no usable model.
    """
    if path is None and not PACKAGED_MODEL.exists():
        raise ModelError("this installation of bytespan holds no packaged model: give the path of a model to load")
    package = read_package(PACKAGED_MODEL if path is None else path, with_weights=False)
    if package.config.decoder == "parallel" and whole_words is False:
        raise ConfigError(f"{package.path}: the parallel decoder finds whole words only: leave out whole_words=False, "
                          "--no-whole-words")  # fmt: skip
    if whole_words is not None:
        package = replace(package, config=replace(package.config, whole_words=whole_words))
    return Tagger(package, threads=threads)


def as_document(text: Text) -> Document:
    """The document that holds `text`, without spans; CorpusError for a lone surrogate."""
    if isinstance(text, Document):
        return text
    if isinstance(text, str):
        return Document(encode_text(text))
    if isinstance(text, (bytes, bytearray, memoryview)):
        return Document(bytes(text))
    raise TypeError(f"a text must be str, bytes or Document, got {type(text).__name__}")
