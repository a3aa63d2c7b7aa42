"""Text -> Document, the one way to run a model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from bytespan.calibration import OperatingPoint, Target, choose_spans, floors_of, usual_points
from bytespan.errors import ConfigError, LabelError, ModelError
from bytespan.package import TUNING, Package, Provenance, read_package
from bytespan.runtime.batching import MAX_GROUP_DOCUMENTS, group_documents, open_model, tag_documents, tag_parts
from bytespan.spans import Document, encode_text
from bytespan.tuning import Tuning, tunings_of

PACKAGED_MODEL = Path(__file__).with_name("models") / "base.zip"
"""The model that comes with bytespan."""

Threshold = float | Mapping[str, float]
"""The least score of a span, for all tasks or by task."""

Text = str | bytes | Document
"""What can be tagged. Of a document only its bytes and identifier count, not the spans that it has."""


class Tagger:
    """A model ready to tag. Many threads may use one at the same time."""

    def __init__(self, package: Package, *, threads: int | None = None) -> None:
        """Use `load` to get one from a path. `threads`: the most that one call uses, all CPUs if None."""
        self._package = package
        self._tunings: Mapping[str, Tuning] = tunings_of(package)
        self._model = open_model(package, threads=threads)

    def __call__(
        self,
        text: Text,
        *,
        tasks: Sequence[str] | None = None,
        beam_size: int = 1,
        threshold: Threshold | None = None,
        alternatives: bool | None = None,
    ) -> Document:
        """The text with its spans of all tasks, or of some.

        With a threshold, for all tasks or by task, all spans whose score is at least that; of two that overlap the one
        of the higher score, or both with `alternatives`. Without one, the threshold that `bytespan tune` chose. A task
        that was not tuned has the model's probabilities as scores and, with a parallel decoder, a threshold of 0.4;
        without any threshold, as tokens and a generator's tasks are then, it gets the most likely spans.
        Offsets count in the text as given. Bytes that are not UTF-8 are tagged as they are, with byte offsets only.
        Raises CorpusError for a lone surrogate, LabelError for a task that this model does not have.
        """
        documents = self.pipe([text], tasks=tasks, beam_size=beam_size, threshold=threshold, alternatives=alternatives)
        return next(documents)

    def pipe(
        self,
        texts: Iterable[Text],
        *,
        tasks: Sequence[str] | None = None,
        beam_size: int = 1,
        threshold: Threshold | None = None,
        alternatives: bool | None = None,
        workers: int = 1,
    ) -> Iterator[Document]:
        """Each text as by `__call__`, lazily and in order; far faster than one by one, in bounded memory.

        Reads ahead by about three times as many texts as it has given out, up to 1,024 texts or 128 KiB; from a list or
        tuple at once by that much.

        A model in int8, such as `base`, rounds by the largest number of a batch: beside other texts a text's scores may
        differ by hundredths from those that it has alone, and one to four words in a thousand may have another label.

        `workers`: processes to share the work, if more than one; each has one thread and two such groups of texts at a
        time. They are spawned, so the program that asks for them must stand under `if __name__ == "__main__":`. Raises
        WorkerError if one of them dies.
        """
        if isinstance(texts, (str, bytes, bytearray)):
            raise TypeError("pipe takes an iterable of texts: call the tagger itself for a single one")
        if workers < 1:
            raise ConfigError(f"workers must be at least 1, got {workers}")
        wanted, points = self._wanted(tasks, beam_size, threshold, alternatives)
        documents = (as_document(text) for text in texts)
        if workers > 1:
            from bytespan.workers import in_order

            prepare = partial(_prepare, self._package, wanted, beam_size, threshold, alternatives)
            groups = group_documents(documents, first=MAX_GROUP_DOCUMENTS)
            return chain.from_iterable(in_order(prepare, groups, workers=workers))
        found = tag_documents(
            self._model,
            documents,
            tasks=wanted,
            beam_size=beam_size,
            floors=floors_of(points),
            at_hand=isinstance(texts, (list, tuple)),
        )
        return map(partial(_choose, points), found) if points else found

    def parts(
        self,
        text: Text,
        *,
        tasks: Sequence[str] | None = None,
        beam_size: int = 1,
        threshold: Threshold | None = None,
        alternatives: bool | None = None,
    ) -> Iterator[tuple[int, Document]]:
        """The text bit by bit, each part with its first byte in the text and with its spans, as soon as they are found.

        The spans are those of `__call__`, but count from the beginning of their part; no span goes on into another
        part. So a text of any length is tagged in the memory that it takes itself and little more. A generator's, and
        one that is not UTF-8, comes as one part.
        """
        wanted, points = self._wanted(tasks, beam_size, threshold, alternatives)
        found = tag_parts(self._model, as_document(text), tasks=wanted, beam_size=beam_size, floors=floors_of(points))
        return ((begin, _choose(points, part) if points else part) for begin, part in found)

    def threshold_for(
        self,
        task: str,
        *,
        precision: float | None = None,
        recall: float | None = None,
        f_beta: float | None = None,
        alternatives: bool | None = None,
    ) -> float:
        """The threshold that had the wanted precision or recall, or the best F-beta, where the model was tuned.

        Raises ConfigError if nothing had, or the task was not tuned.
        """
        self._tasks([task])
        if task not in self._tunings:
            raise ConfigError(f"{self.path}: its {task} were not tuned: run bytespan tune with a development file, or "
                              "give a threshold")  # fmt: skip
        return self._tunings[task].lookup(Target(precision, recall, f_beta), alternatives=alternatives).threshold

    @property
    def package(self) -> Package:
        """The model, as it was read."""
        return self._package

    @property
    def tunings(self) -> Mapping[str, Tuning]:
        """Task -> what `bytespan tune` found out and chose, of tasks that were tuned."""
        return self._tunings

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

    def _wanted(
        self, tasks: Sequence[str] | None, beam_size: int, threshold: Threshold | None, alternatives: bool | None
    ) -> tuple[tuple[str, ...], dict[str, OperatingPoint]]:
        """The tasks, and their operating points as by `_points`; ConfigError for what cannot be combined."""
        if beam_size < 1:
            raise ConfigError(f"beam_size must be at least 1, got {beam_size}")
        if beam_size > 1 and self._package.config.decoder == "parallel":
            raise ConfigError(f"beam_size must be 1, got {beam_size}: the parallel decoder of {self.path} always finds "
                              "the best spans")  # fmt: skip
        wanted = self._tasks(tasks)
        points = self._points(wanted, threshold, alternatives)
        if points and beam_size > 1:
            raise ConfigError(f"beam_size must be 1 where a threshold chooses the spans, got {beam_size}")
        return wanted, points

    def _points(
        self, tasks: Sequence[str], threshold: Threshold | None, alternatives: bool | None
    ) -> dict[str, OperatingPoint]:
        """Task -> the operating point, of tasks whose spans a threshold chooses."""
        thresholds = threshold if isinstance(threshold, Mapping) else dict.fromkeys(tasks, threshold)
        self._tasks(list(thresholds))
        is_parallel = self._package.config.decoder == "parallel"
        points = usual_points(tasks, alternatives=bool(alternatives)) if is_parallel else {}
        for task in tasks:
            wanted = thresholds.get(task)
            if task in self._tunings:
                points[task] = self._tunings[task].point(threshold=wanted, alternatives=alternatives)
            elif wanted is not None:
                points[task] = OperatingPoint(wanted, bool(alternatives))
        if alternatives and not points:
            raise ConfigError("alternatives need a threshold: give one, or run bytespan tune with a development file")
        return points

    def _tasks(self, tasks: Sequence[str] | None) -> tuple[str, ...]:
        wanted = self.tasks if tasks is None else (tasks,) if isinstance(tasks, str) else tuple(tasks)
        for task in wanted:
            if task not in self.tasks:
                raise LabelError(f"task {task!r} is not one of this model's ({', '.join(self.tasks)})")
        return wanted


def _prepare(
    package: Package, tasks: Sequence[str], beam_size: int, threshold: Threshold | None, alternatives: bool | None
) -> Callable[[list[Document]], list[Document]]:
    """What a worker of `Tagger.pipe` does with a group of documents."""
    tagger = Tagger(package, threads=1)
    return lambda group: list(
        tagger.pipe(group, tasks=tasks, beam_size=beam_size, threshold=threshold, alternatives=alternatives)
    )


def _choose(points: Mapping[str, OperatingPoint], document: Document) -> Document:
    """The document with the spans that the operating points choose."""
    return Document(document.data, choose_spans(points, document.spans), identifier=document.identifier)


def load(
    path: str | Path | None = None,
    *,
    threads: int | None = None,
    whole_words: bool | None = None,
    tuned: bool = True,
) -> Tagger:
    """The tagger of a model directory or zip file, or of the packaged model.

    `threads`: the most that one call uses, all CPUs if None. `whole_words`: whether spans may only begin and end where
    words do, whatever the model's own setting; a parallel decoder knows no other way, and False raises ConfigError.
    `tuned`: whether what `bytespan tune` chose and calibrated holds.
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
    if not tuned:
        package = replace(package, files={name: data for name, data in package.files.items() if name != TUNING})
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
