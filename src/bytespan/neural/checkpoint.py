"""The state of a training on disk, from which it goes on as if it had never stopped.

A checkpoint is a directory: `config.json` (settings and progress), `labels.json`, `weights.safetensors` (fp32), and,
where a run may go on from it, `training.safetensors` (auxiliary head and optimizer). Nothing in it is pickled.
`bytespan export` turns one into a model package.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bytespan.atomic import write_directory
from bytespan.config import ModelConfig, TrainConfig, config_from_json, config_to_json
from bytespan.errors import ModelError
from bytespan.languages import profiles_of
from bytespan.neural.decoders import Model, adopt_weights, new_auxiliary, new_model
from bytespan.neural.generate import AuxiliaryHead, Generator
from bytespan.neural.import_weights import import_weights
from bytespan.neural.parallel import Parallel
from bytespan.ngrams import ngrams_of
from bytespan.package import Package, read_package
from bytespan.vocabulary import Vocabulary

CHECKPOINT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training has come."""

    step: int = 0
    """Optimizer steps done."""
    elapsed_s: float = 0.0
    """Seconds spent in them, over all resumptions."""
    bytes_seen: int = 0
    """Segment bytes read."""
    best_score: float | None = None
    """Highest development score so far, in percent."""
    best_step: int = 0
    """The step that had it."""
    misses: int = 0
    """Development scores since then that were no better."""

    def after(self, *, score: float) -> "Progress":
        """Progress once this step's development score is known; only a strictly higher score is a new best."""
        if self.best_score is None or score > self.best_score:
            return replace(self, best_score=score, best_step=self.step, misses=0)
        return replace(self, misses=self.misses + 1)


@dataclass(slots=True)
class TrainingState:
    """Everything that a step changes."""

    model: Model
    auxiliary: AuxiliaryHead | None
    optimizer: torch.optim.Optimizer
    progress: Progress

    def named_parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Parameters of the model and of the auxiliary head, in a fixed order."""
        head = [] if self.auxiliary is None else self.auxiliary.named_parameters()
        auxiliary = [(f"auxiliary.{name}", value) for name, value in head]
        return [*self.model.named_parameters(), *auxiliary]


def new_state(
    config: ModelConfig, vocabulary: Vocabulary, train: TrainConfig, *, device: torch.device | str = "cpu"
) -> TrainingState:
    """A training at its start: weights drawn from the seed."""
    rng = torch.Generator().manual_seed(train.seed)
    model, auxiliary = new_model(config, vocabulary), new_auxiliary(config, vocabulary)
    if isinstance(model, Generator):
        model.initialize(rng, scheme=train.initialization)
    else:
        model.initialize(rng)
    if auxiliary is not None:
        auxiliary.initialize(rng)
    return _state(model, auxiliary, train, Progress(), device)


def _state(
    model: Model, auxiliary: AuxiliaryHead | None, train: TrainConfig, progress: Progress, device: torch.device | str
) -> TrainingState:
    model.to(device)
    tables = [model.table.weight] if isinstance(model, Parallel) else []
    parameters = [value for value in model.parameters() if all(value is not table for table in tables)]
    if auxiliary is not None:
        parameters += auxiliary.to(device).parameters()
    groups = [{"params": parameters, "factor": 1.0}, {"params": tables, "factor": train.table_rate}]
    optimizer: torch.optim.Optimizer
    if train.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=train.learning_rate)
    else:
        optimizer = torch.optim.AdamW(
            groups, lr=train.learning_rate, betas=(0.9, 0.98), weight_decay=train.weight_decay, fused=True
        )
    return TrainingState(model, auxiliary, optimizer, progress)


def save_checkpoint(path: Path, state: TrainingState, train: TrainConfig, *, resumable: bool) -> None:
    """Write the state atomically; without `resumable` only what a model package can be made of."""
    vocabulary = state.model.vocabulary
    config = {
        "checkpoint_version": CHECKPOINT_VERSION,
        "model": config_to_json(state.model.config),
        "train": config_to_json(train),
        "progress": asdict(state.progress),
    }
    files = {
        "config.json": _json_bytes(config),
        "labels.json": _json_bytes({task: list(labels) for task, labels in vocabulary.labels.items()}),
        "weights.safetensors": save(_contiguous(state.model.state_dict())),
    }
    if resumable:
        files["training.safetensors"] = save(_training_tensors(state))
    write_directory(path, files)


def load_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> tuple[TrainingState, TrainConfig]:
    """The training that was saved at `path`, and its settings; ModelError if it is absent, damaged or not resumable."""
    model, config = load_model(path)
    train = config_from_json(TrainConfig, config["train"], source=str(path / "config.json"), table="train")
    auxiliary = new_auxiliary(model.config, model.vocabulary)
    state = _state(model, auxiliary, train, Progress(**config["progress"]), device)
    tensors = _read_tensors(path / "training.safetensors")
    if auxiliary is not None:
        _load_weights(auxiliary, {name: tensors.pop(name) for name in auxiliary.state_dict() if name in tensors}, path)
    for name, parameter in state.named_parameters():
        prefix = f"optimizer.{name}."
        moments = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if any(value.shape not in ((), parameter.shape) for value in moments.values()):
            raise ModelError(f"{path}: the training state does not fit the model at {name}: start the run again")
        state.optimizer.state[parameter] = {key: t.to(device) for key, t in moments.items()}
    return state, train


def load_model(path: Path) -> tuple[Model, dict[str, Any]]:
    """The model in a checkpoint and the checkpoint's config.json."""
    config = _read_json(path / "config.json")
    if config.get("checkpoint_version") != CHECKPOINT_VERSION:
        raise ModelError(f"{path}: checkpoint version {config.get('checkpoint_version')!r}, this bytespan reads "
                         f"{CHECKPOINT_VERSION}")  # fmt: skip
    shape = config_from_json(ModelConfig, config["model"], source=str(path / "config.json"), table="model")
    labels = {task: tuple(members) for task, members in _read_json(path / "labels.json").items()}
    model = new_model(shape, Vocabulary(shape.segment_length, labels))
    _load_weights(model, _read_tensors(path / "weights.safetensors"), path)
    return model, config


def load_best(path: Path) -> Model:
    """The model in a checkpoint, or in a run: in its best checkpoint, in its last one if none was scored yet."""
    folders = (path / "best", path / "last", path)
    model, _ = load_model(next(folder for folder in folders if folder.is_dir() or folder == path))
    return model


def _load_weights(module: torch.nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        misfits = str(error).splitlines()[1:2] or [str(error)]
        raise ModelError(f"{path}: the weights do not fit the config: {misfits[0].strip()}") from error


def initialize_from(state: TrainingState, path: Path) -> None:
    """Start from the weights of a checkpoint or a model package; symbols that both know keep what they learnt.

    Raises ModelError for one that is damaged, holds no weights to train on, or has another shape.
    """
    shape, vocabulary, weights = _read_weights(path)
    wanted = state.model.config
    own = ("segment_length", "whole_words", "languages", "known_bits")
    if replace(shape, **{name: getattr(wanted, name) for name in own}) != wanted:
        raise ModelError(f"{path}: its shape is {shape}, not {wanted}: give the recipe the same [model] settings")
    adopt_weights(state.model, weights, vocabulary)
    if shape.languages == wanted.languages and "languages" in weights:
        state.model.get_buffer("languages").copy_(weights["languages"])
    if shape.known_bits == wanted.known_bits and "ngrams_met" in weights:
        state.model.get_buffer("ngrams_met").copy_(weights["ngrams_met"])


def _read_weights(path: Path) -> tuple[ModelConfig, Vocabulary, Mapping[str, Tensor]]:
    if path.is_dir() and "checkpoint_version" in _read_json(path / "config.json"):
        model, _ = load_model(path)
        return model.config, model.vocabulary, model.state_dict()
    package = read_package(path)
    return package.config, package.vocabulary, _weights_of(package)


def _weights_of(package: Package) -> Mapping[str, Tensor]:
    """The weights to train on that a package holds, else those that its graph tags with."""
    if package.weights is not None:
        return _parse_tensors(package.weights, package.path)
    weights = import_weights(package.onnx, package.config, package.vocabulary, source=str(package.path))
    profiles, ngrams = profiles_of(package), ngrams_of(package)
    if profiles is not None:
        weights["languages"] = torch.from_numpy(profiles.logs.copy())
    if ngrams is not None:
        weights["ngrams_met"] = torch.from_numpy(ngrams.bits.copy())
    return weights


def _training_tensors(state: TrainingState) -> dict[str, Tensor]:
    moments = {
        f"optimizer.{name}.{key}": value
        for name, parameter in state.named_parameters()
        for key, value in state.optimizer.state.get(parameter, {}).items()
    }
    return _contiguous(({} if state.auxiliary is None else state.auxiliary.state_dict()) | moments)


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _json_bytes(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot read the checkpoint: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{path}: damaged: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: damaged: expected a JSON object")
    return value


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return _parse_tensors(path.read_bytes(), path)
    except OSError as error:
        raise ModelError(f"{path}: cannot read the checkpoint: {error.strerror}") from error


def _parse_tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return {name: value.float() for name, value in load(data).items()}
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: damaged: {error}") from error
