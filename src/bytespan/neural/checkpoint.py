"""The state of a training on disk, from which it goes on as if it had never stopped.

A checkpoint is a directory: `config.json` (model and training settings), `labels.json`, `weights.safetensors` (fp32), and,
where a run may go on from it, `training.safetensors` (auxiliary head and optimizer) and `state.json` (counters).
Nothing in it is pickled. `bytespan export` turns one into a model package.
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

from bytespan.config import ModelConfig, TrainConfig, config_from_json, config_to_json
from bytespan.errors import ModelError
from bytespan.neural.generate import AuxiliaryHead, Generator, transplant
from bytespan.package import write_directory
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

    model: Generator
    auxiliary: AuxiliaryHead
    optimizer: torch.optim.Optimizer
    progress: Progress

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Parameters of the model and of the auxiliary head, in a fixed order."""
        auxiliary = {f"auxiliary.{name}": value for name, value in self.auxiliary.named_parameters()}
        return dict(self.model.named_parameters()) | auxiliary


def new_state(
    config: ModelConfig, vocabulary: Vocabulary, train: TrainConfig, *, device: torch.device | str = "cpu"
) -> TrainingState:
    """A training at its start: weights drawn from the seed."""
    rng = torch.Generator().manual_seed(train.seed)
    model, auxiliary = Generator(config, vocabulary), AuxiliaryHead(config, vocabulary)
    model.initialize(rng, scheme=train.initialization)
    auxiliary.initialize(rng)
    model.to(device)
    auxiliary.to(device)
    return TrainingState(model, auxiliary, _optimizer(model, auxiliary, train), Progress())


def _optimizer(model: Generator, auxiliary: AuxiliaryHead, train: TrainConfig) -> torch.optim.Optimizer:
    parameters = [*model.parameters(), *auxiliary.parameters()]
    if train.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=train.learning_rate)
    return torch.optim.AdamW(
        parameters, lr=train.learning_rate, betas=(0.9, 0.98), weight_decay=train.weight_decay
    )


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
    auxiliary = AuxiliaryHead(model.config, model.vocabulary)
    model.to(device)
    auxiliary.to(device)
    optimizer = _optimizer(model, auxiliary, train)
    state = TrainingState(model, auxiliary, optimizer, Progress(**config["progress"]))
    tensors = _read_tensors(path / "training.safetensors")
    try:
        with torch.no_grad():
            for name, parameter in state.named_parameters().items():
                if name.startswith("auxiliary."):
                    parameter.copy_(tensors[name])
                prefix = f"optimizer.{name}."
                moments = {key.removeprefix(prefix): tensors[key] for key in tensors if key.startswith(prefix)}
                if moments:
                    optimizer.state[parameter] = {
                        key: value.cpu() if key == "step" else value.to(device) for key, value in moments.items()
                    }
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: the training state does not fit the model ({error}): start the run again") from error
    return state, train


def load_model(path: Path) -> tuple[Generator, dict[str, Any]]:
    """The model in a checkpoint and the checkpoint's config.json."""
    config = _read_json(path / "config.json")
    if config.get("checkpoint_version") != CHECKPOINT_VERSION:
        raise ModelError(f"{path}: checkpoint version {config.get('checkpoint_version')!r}, this bytespan reads "
                         f"{CHECKPOINT_VERSION}")  # fmt: skip
    shape = config_from_json(ModelConfig, config["model"], source=str(path / "config.json"), table="model")
    labels = {task: tuple(members) for task, members in _read_json(path / "labels.json").items()}
    model = Generator(shape, Vocabulary(shape.segment_length, labels))
    try:
        model.load_state_dict({name: value.float() for name, value in _read_tensors(path / "weights.safetensors").items()})
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit the config: {error}") from error
    return model, config


def initialize_from(state: TrainingState, path: Path) -> None:
    """Start from the weights of a checkpoint or a model package; symbols that both know keep what they learnt."""
    config, labels = _read_json(path / "config.json"), _read_json(path / "labels.json")
    shape = config_from_json(ModelConfig, config["model"], source=str(path / "config.json"), table="model")
    wanted = state.model.config
    if replace(shape, segment_length=wanted.segment_length) != wanted:
        raise ModelError(f"{path}: its shape {shape} is not the wanted {wanted}: give the recipe the same [model] settings")
    vocabulary = Vocabulary(shape.segment_length, {task: tuple(members) for task, members in labels.items()})
    weights = {name: value.float() for name, value in _read_tensors(path / "weights.safetensors").items()}
    transplant(state.model, weights, vocabulary)


def _training_tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, parameter in state.named_parameters().items():
        if name.startswith("auxiliary."):
            tensors[name] = parameter.detach()
        for key, value in state.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{name}.{key}"] = value
    return _contiguous(tensors)


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
        return load(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot read the checkpoint: {error.strerror}") from error
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: damaged: {error}") from error
