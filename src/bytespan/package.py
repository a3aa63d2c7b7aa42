"""A model on disk: its files, its version and its checks.

docs/format.md specifies the format. Nothing here is pickled, extracted to disk or executed.
"""

import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bytespan.atomic import find_written, write_directory, write_zip
from bytespan.config import ModelConfig, config_from_json, config_to_json
from bytespan.errors import ConfigError, LabelError, ModelError
from bytespan.vocabulary import Vocabulary

FORMAT = "bytespan-model"
FORMAT_VERSION = 1
CONFIG, LABELS, WEIGHTS, ONNX, CARD = "config.json", "labels.json", "weights.safetensors", "model.onnx", "card.md"
TUNING, SAMPLE, LANGUAGES, NGRAMS = "tuning.json", "sample.jsonl.gz", "languages.gz", "ngrams.gz"
REQUIRED = (LABELS, ONNX, CARD)
SAMPLE_BYTES = 200_000
"""Of text that a package is to carry; packed, a third of that. With an eighth of it two to three times as much is
forgotten (recipes/LOG.md)."""
ADDED_BYTES = 20_000
"""Of a file that an adaptation adds to them: about what each of ten languages has of `SAMPLE_BYTES`."""
MAX_CONFIG_BYTES = 1 << 20
_MEMBER_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_DAMAGED_ZIP = (RuntimeError, ValueError, EOFError, zlib.error, struct.error)  # what zipfile raises besides BadZipFile


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from; what its card says."""

    name: str
    version: str = "1"
    languages: tuple[str, ...] = ()
    """ISO 639 codes."""
    licence: str = "unknown"
    training_data: tuple[str, ...] = ()
    """Corpora, each with its licence."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What was measured, e.g. "conll/es test F1" -> 0.8295."""
    precision: str = "fp32"
    """Of the weights in model.onnx: fp32, fp16 or int8."""


@dataclass(frozen=True)
class Package:
    """A model package that was read and verified."""

    path: Path
    config: ModelConfig
    vocabulary: Vocabulary
    provenance: Provenance
    files: Mapping[str, bytes]
    """Member name -> content, all but config.json."""

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Task -> its label set."""
        return self.vocabulary.labels

    @property
    def onnx(self) -> bytes:
        """The graph that `bytespan.runtime` runs."""
        return self.files[ONNX]

    @property
    def weights(self) -> bytes | None:
        """The safetensors file to train on from, if the package holds it."""
        return self.files.get(WEIGHTS)

    @property
    def tuning(self) -> bytes | None:
        """What `bytespan.tuning` reads, if the model was tuned."""
        return self.files.get(TUNING)

    @cached_property
    def card(self) -> str:
        """The model's card in Markdown."""
        return self.files[CARD].decode("utf-8", errors="replace")


def read_package(path: Path | str, *, with_weights: bool = True) -> Package:
    """The model package in a directory or zip file, every file checked against its recorded size and checksum.

    Without `with_weights` the weights and the text to train on from, which tagging does not need, are neither read nor
    checked.
    Raises ModelError for one that is absent, no model, truncated, altered, or of a format version unknown here.
    """
    path = find_written(Path(path))
    try:
        if path.is_dir():
            return _read(path, _DirectoryMembers(path), with_weights=with_weights)
        if not path.exists():
            raise ModelError(f"{path}: no such model: give a model directory or zip file")
        with zipfile.ZipFile(path) as archive:
            return _read(path, _ZipMembers(path, archive), with_weights=with_weights)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{path}: not a model: neither a model directory nor a whole zip file ({error})") from error
    except ModelError:
        raise
    except (OSError, *_DAMAGED_ZIP) as error:
        raise ModelError(f"{path}: cannot read the model: {getattr(error, 'strerror', None) or error}") from error


def write_package(
    path: Path | str,
    *,
    config: ModelConfig,
    labels: Mapping[str, tuple[str, ...]],
    provenance: Provenance,
    onnx: bytes,
    weights: bytes | None = None,
    sample: bytes | None = None,
    languages: bytes | None = None,
    ngrams: bytes | None = None,
    card: str | None = None,
) -> None:
    """Write a model package, a zip file if `path` ends in .zip; an older one there is replaced in one step.

    Raises ModelError, and leaves what was there before, if it cannot be written.
    """
    path = Path(path)
    Vocabulary(config.segment_length, labels)  # refuses what could not be read again
    files = {LABELS: _to_json({task: list(members) for task, members in labels.items()}), ONNX: onnx}
    files[CARD] = (card or describe_model(config, labels, provenance)).encode("utf-8")
    optional = ((WEIGHTS, weights), (SAMPLE, sample), (LANGUAGES, languages), (NGRAMS, ngrams))
    files |= {name: data for name, data in optional if data is not None}
    _write(path, config, provenance, files)


def add_tuning(package: Package, path: Path | str, *, tuning: bytes) -> None:
    """Write a package that was read whole, with `tuning` as its `tuning.json`, in its own place or another."""
    _write(Path(path), package.config, package.provenance, {**package.files, TUNING: tuning})


def _write(path: Path, config: ModelConfig, provenance: Provenance, files: Mapping[str, bytes]) -> None:
    files = {CONFIG: _config_file(config, provenance, files)} | dict(files)
    if path.suffix.lower() == ".zip":
        write_zip(path, files)
    else:
        write_directory(path, files)


def describe_model(config: ModelConfig, labels: Mapping[str, tuple[str, ...]], provenance: Provenance) -> str:
    """A card in Markdown made of what is known of the model."""
    lines = [f"# {provenance.name} {provenance.version}", "", "| | |", "|---|---|"]
    lines += [f"| {task} | {', '.join(members)} |" for task, members in labels.items()]
    lines += [
        f"| languages | {', '.join(provenance.languages) or 'not stated'} |",
        f"| licence | {provenance.licence} |",
        f"| shape | {describe_shape(config)} |",
        f"| weights | {provenance.precision} |",
    ]
    if provenance.training_data:
        lines += ["", "## Training data", "", *(f"- {corpus}" for corpus in provenance.training_data)]
    if provenance.scores:
        lines += ["", "## Scores", "", "| measured on | score |", "|---|---|"]
        lines += [f"| {name} | {score:.4f} |" for name, score in provenance.scores.items()]
    return "\n".join([*lines, ""])


def describe_shape(config: ModelConfig) -> str:
    """The size of a model in a few words."""
    units = f"{config.layers} x {config.units} units{' a direction' if config.directions == 2 else ''}"
    segments = f"segments of {config.segment_length} bytes"
    if config.decoder == "parallel":
        together = f"{config.ensemble} models together, each of " if config.ensemble > 1 else ""
        return f"{together}{units}, {config.table_rows} x {config.table_width} table of n-grams, {segments}"
    return f"{units}, {segments}{f' behind {config.carried_bytes} carried' if config.carried_bytes else ''}"


class _DirectoryMembers:
    """The files of a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self, name: str) -> int | None:
        member = self.path / name
        return member.stat().st_size if member.is_file() else None

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class _ZipMembers:
    """The members of a zip file, which must all lie at its top, each once."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        names = [entry.filename for entry in archive.infolist()]
        for name in names:
            if not _MEMBER_NAME.fullmatch(name) or names.count(name) > 1:
                raise ModelError(f"{path}: not a model: its zip file holds {name!r}; files lie at its top, each once")
        self.sizes = {entry.filename: entry.file_size for entry in archive.infolist()}

    def size(self, name: str) -> int | None:
        return self.sizes.get(name)

    def read(self, name: str) -> bytes:
        with self.archive.open(name) as stream:
            return stream.read(self.sizes[name] + 1)


def _read(path: Path, members: _DirectoryMembers | _ZipMembers, *, with_weights: bool) -> Package:
    settings = _read_config(path, members)
    recorded = settings.get("files")
    if not isinstance(recorded, dict) or not set(REQUIRED) <= set(recorded):
        raise ModelError(f"{path}: not a model: config.json does not list {', '.join(REQUIRED)}")
    wanted = {name: entry for name, entry in recorded.items() if with_weights or name not in (WEIGHTS, SAMPLE)}
    files = {name: _read_member(path, members, name, entry) for name, entry in wanted.items()}
    try:
        config = config_from_json(ModelConfig, settings["model"], source=f"{path / CONFIG}", table="model")
        vocabulary = Vocabulary(config.segment_length, _labels(json.loads(files[LABELS])))
        provenance = _provenance(settings["provenance"])
    except (ConfigError, LabelError) as error:
        raise ModelError(f"{path}: unusable model: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: unusable model: config.json or labels.json is not as docs/format.md says") from error
    return Package(path, config, vocabulary, provenance, files)


def _read_config(path: Path, members: _DirectoryMembers | _ZipMembers) -> dict[str, Any]:
    size = members.size(CONFIG)
    if size is None:
        raise ModelError(f"{path}: not a model: it holds no {CONFIG}")
    data = members.read(CONFIG) if size <= MAX_CONFIG_BYTES else b""
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path / CONFIG}: not whole JSON: the model is damaged, copy it again") from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise ModelError(f"{path}: not a model of bytespan: {CONFIG} does not say so")
    version = settings.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path}: the model has format version {version!r}, this bytespan reads {FORMAT_VERSION}: upgrade bytespan"
        )
    digest = settings.get("sha256")
    if not isinstance(digest, str) or digest != _config_digest(data, digest):
        raise ModelError(f"{path / CONFIG}: altered since it was written: copy or export the model again")
    return settings


def _read_member(path: Path, members: _DirectoryMembers | _ZipMembers, name: str, entry: Any) -> bytes:
    if not _MEMBER_NAME.fullmatch(name) or not isinstance(entry, dict):
        raise ModelError(f"{path}: not a model: {CONFIG} lists the file {name!r}")
    size = members.size(name)
    if size is None:
        raise ModelError(f"{path / name}: missing from the model: copy or export it again")
    if size != entry.get("bytes"):
        raise ModelError(f"{path / name}: {size} bytes instead of {entry.get('bytes')}: copy or export the model again")
    data = members.read(name)
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise ModelError(f"{path / name}: altered since it was written: copy or export the model again")
    return data


def _labels(values: Any) -> dict[str, tuple[str, ...]]:
    if not values:
        raise LabelError(f"{LABELS}: it names no task")
    for task, members in values.items():
        if not isinstance(members, list) or not all(isinstance(label, str) for label in members):
            raise LabelError(f"{LABELS}: the label set of {task!r} is no list of strings")
    return {task: tuple(members) for task, members in values.items()}


def _provenance(values: Any) -> Provenance:
    """Also of a writer that knew further keys, which are ignored."""
    known = {name: values[name] for name in Provenance.__dataclass_fields__ if name in values}
    for name, value in known.items():
        if name in ("languages", "training_data"):
            known[name] = tuple(map(str, value))
        elif name == "scores":
            known[name] = {str(measured): float(score) for measured, score in value.items()}
        else:
            known[name] = str(value)
    return Provenance(**known)


def _config_file(config: ModelConfig, provenance: Provenance, files: Mapping[str, bytes]) -> bytes:
    blank = "0" * 64
    settings = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sha256": blank,
        "model": config_to_json(config),
        "provenance": asdict(provenance),
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
    }
    data = _to_json(settings)
    return data.replace(blank.encode(), _config_digest(data, blank).encode(), 1)


def _config_digest(data: bytes, digest: str) -> str:
    """SHA-256 of config.json with zeros where its own digest stands."""
    return hashlib.sha256(data.replace(digest.encode(), b"0" * 64, 1)).hexdigest()


def _to_json(values: Any) -> bytes:
    return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode("utf-8")
