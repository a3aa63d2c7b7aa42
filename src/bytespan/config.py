"""Settings of a model, a training and a recipe: frozen, flat, checked before any data is read.

A recipe is a TOML file with the tables `[model]`, `[train]` and one `[[corpus]]` a folder or file; relative paths count
from `--data`, those of models from the working directory. The same values are written as JSON into checkpoints and
packages.
"""

import difflib
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bytespan.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


def _require_one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    _require(value in options, f"{name} must be one of {', '.join(options)}, got {value!r}")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a model; all that is needed to rebuild it besides its label sets. Defaults are the paper's."""

    decoder: str = "generator"
    """"generator", the paper's, writes spans symbol by symbol; "parallel" scores all spans of a segment at once."""
    segment_length: int = 60
    """k: bytes in a segment; in the parallel decoder at use, no weight depends on it."""
    layers: int = 4
    """Stacked LSTM layers (paper: 1 to 4 compared)."""
    units: int = 320
    """H: LSTM units a layer and a direction (paper: 320 and 640 compared)."""
    embedding: int = 320
    """E: width of the input embedding, of bytes in the parallel decoder."""
    input_order: str = "forward"
    """Bytes are read "forward", or "reversed" as in Sutskever et al. 2014 (paper: under 1 point apart)."""
    span_order: str = "last-first"
    """Spans are written "last-first" or "first-first" (paper: under 1 point apart)."""
    separate: bool = False
    """Whether the decoder has LSTM parameters of its own instead of sharing the encoder's."""
    whole_words: bool = False
    """Whether decoding never begins or ends a span inside a word (the paper: anywhere). No weight depends on it."""
    attention: bool = False
    """Whether the decoder attends over the encoder's states (paper: no gain on NER at k = 60)."""
    carried_bytes: int = 0
    """Generator: most bytes before a segment that are read first, so that their state is carried into it; 0 begins each
    segment with a state of zeros, as the paper does."""
    bidirectional: bool | None = None
    """Whether the encoder reads from both ends; None, as ever: the parallel decoder does, the generator does not."""
    table_rows: int = 65536
    """Parallel: rows of the table of hashed n-grams."""
    table_width: int = 32
    """Parallel: width of that table."""
    kernels: int = 128
    """Parallel: kernels of the convolution over a unit's bytes."""
    unit_width: int = 256
    """Parallel: width of a unit before the first LSTM layer."""
    languages: tuple[str, ...] = ()
    """Parallel: the languages that are told apart (see `bytespan.languages`), from those of the recipe's corpora."""
    known_bits: int = 0
    """Parallel: bits of the filter that knows which n-grams were met in training (see `bytespan.ngrams`), a multiple of
    8; 0 takes all n-grams for known."""
    ensemble: int = 1
    """Parallel, in a package: how many models of this shape its graph holds, which tag together (`export --with`)."""

    def __post_init__(self) -> None:
        sizes = ("segment_length", "layers", "units", "embedding", "table_rows", "table_width", "kernels", "unit_width")
        for name in (*sizes, "ensemble"):
            _require(getattr(self, name) >= 1, f"model.{name} must be at least 1, got {getattr(self, name)}")
        fits = 0 <= self.known_bits <= 1 << 32 and self.known_bits % 8 == 0
        _require(fits, f"model.known_bits must be a multiple of 8 in 0..2^32, got {self.known_bits}")
        _require(self.carried_bytes >= 0, f"model.carried_bytes must be at least 0, got {self.carried_bytes}")
        _require_one_of("model.decoder", self.decoder, ("generator", "parallel"))
        _require_one_of("model.input_order", self.input_order, ("forward", "reversed"))
        _require_one_of("model.span_order", self.span_order, ("last-first", "first-first"))
        _require(
            self.input_order == "forward" or not self.carried_bytes,
            'model.carried_bytes needs model.input_order = "forward": a state is carried on, not back',
        )
        _require(
            self.decoder == "parallel" or self.directions == 1 or self.separate,
            "model.bidirectional needs model.separate = true in a generator: what reads from both ends cannot write",
        )
        _require(self.decoder == "parallel" or self.ensemble == 1, "model.ensemble must be 1 in a generator")

    @property
    def directions(self) -> int:
        """In how many directions the encoder reads, 1 or 2."""
        is_bidirectional = self.decoder == "parallel" if self.bidirectional is None else self.bidirectional
        return 2 if is_bidirectional else 1


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a model is trained. Defaults suit the parallel decoder.

    recipes/conll-paper.toml has what suits the generator, recipes/conll-paper-sgd.toml what the paper did.
    """

    steps: int = 6000
    """Optimizer steps."""
    batch_size: int = 8
    """Segments an optimizer step, over all processes together; the paper's is 128."""
    initialization: str = "orthogonal"
    """"orthogonal" recurrent weights and raised forget biases, or "uniform" in +-0.08 as in the paper."""
    optimizer: str = "adamw"
    """"adamw", or "sgd" as in the paper."""
    learning_rate: float = 2e-3
    """Rate after warm-up; the paper's is 0.3 with SGD."""
    table_rate: float = 4.0
    """Parallel: how many times as fast the table of hashed n-grams learns, a row of which is met in few steps."""
    warmup_steps: int = 200
    """Steps over which the rate rises linearly from 0."""
    decay_steps: int | None = None
    """Last steps over which the rate falls linearly to 0, all if None; SGD of the paper halves, see `halve_every`."""
    halve_every: int | None = None
    """Steps after which the rate is halved again, in the second half of all steps (Sutskever et al. 2014)."""
    weight_decay: float = 0.0
    """AdamW's decoupled decay."""
    clip_norm: float = 5.0
    """The gradient's norm is clipped to this."""
    dropout: float = 0.3
    """Dropout on the embedding and on the state before the softmax (paper, "Dropout and Byte-dropout"); in the parallel
    decoder on what every layer reads."""
    byte_dropout: float = 0.1
    """Probability of replacing each input byte by DROP (paper, the same section)."""
    unit_dropout: float = 0.05
    """Parallel: probability of replacing all bytes of a unit by DROP."""
    hash_dropout: float = 0.3
    """Parallel: probability of hiding each hash of a unit; the others are scaled up for it."""
    word_dropout: float = 0.0
    """Parallel: probability of hiding what is hashed of a whole word, wherever a segment has it, so that it reads like
    one that was never met."""
    least_lines: int = 2
    """Parallel: in how many different lines an n-gram must be met for the model to know it, if `model.known_bits` has
    it know some only."""
    auxiliary_weight: float = 1.0
    """Weight of the loss beside the tags' or symbols' own. Generator: that which asks the encoder, behind each span,
    for the span's label. Parallel: divergences, from an adaptation's rehearsal and under `corpus.agreement`."""
    words_fraction: float = 0.5
    """Generator: fraction of segments that ask for all words instead of the spans of a task such as entities."""
    first_length: int = 12
    """Generator: bytes in the first segments of a training; from there the length grows evenly up to the model's."""
    growth_steps: int = 0
    """Steps over which segments grow from `first_length` to full length, and both dropouts from 0 to their rates."""
    segment_bytes: int = 1024
    """Parallel: most bytes in a training segment; at use longer ones, `model.segment_length`, find more."""
    short_fraction: float = 0.05
    """Fraction of segments (generator: of batches) that are shorter, so that short texts are known too."""
    span_fraction: float = 0.0
    """Generator: fraction of the other segments drawn around a span of a sparse task instead of anywhere."""
    balance: float = 0.0
    """Parallel: a corpus of n bytes is drawn as often as n ** (1 - balance); 0 does not balance (paper, section 4)."""
    unmarked_weight: float = 0.0
    """Parallel: how much a place without a span speaks against a label that its corpus does not annotate: 0 not at all,
    1 as much as against one that it does. A little keeps such labels rare in languages where no corpus has them."""
    language_dropout: float = 0.1
    """Parallel: fraction of segments of which the model is not told the language, where it tells languages apart."""
    gold_weight: float = 0.1
    """Parallel: where a corpus has teachers, weight of its own tags; the rest is what the teachers say on the mean."""
    precision: str = "fp32"
    """"fp32", or "bf16": matrix products in bfloat16, weights and optimizer state in fp32; without AVX-512, fp32."""
    seed: int = 1
    """Seed of everything random."""
    dev_every: int = 1000
    """Steps between scores on the development corpora and checkpoints of the best model."""
    dev_bytes: int = 200_000
    """At most this many bytes of development text a corpus are scored while training."""
    checkpoint_every: int = 500
    """Steps between checkpoints from which a run resumes."""
    patience: int | None = None
    """Stop after this many development scores without a better one; None never stops early."""

    def __post_init__(self) -> None:
        sizes = ("steps", "batch_size", "first_length", "segment_bytes", "least_lines")
        for name in (*sizes, "dev_every", "dev_bytes", "checkpoint_every"):
            _require(getattr(self, name) >= 1, f"train.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("halve_every", "patience"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"train.{name} must be at least 1, got {value}")
        for name in ("warmup_steps", "growth_steps", "weight_decay", "auxiliary_weight", "seed"):
            _require(getattr(self, name) >= 0, f"train.{name} must be at least 0, got {getattr(self, name)}")
        _require(
            self.decay_steps is None or self.decay_steps >= 0,
            f"train.decay_steps must be at least 0, got {self.decay_steps}",
        )
        fractions = ("dropout", "byte_dropout", "unit_dropout", "hash_dropout", "words_fraction", "short_fraction")
        for name in ("unmarked_weight", "gold_weight", "word_dropout"):
            _require(0 <= getattr(self, name) <= 1, f"train.{name} must be in 0..1, got {getattr(self, name)}")
        for name in (*fractions, "span_fraction", "balance", "language_dropout"):
            _require(0 <= getattr(self, name) < 1, f"train.{name} must be in 0..1, below 1, got {getattr(self, name)}")
        for name in ("learning_rate", "table_rate", "clip_norm"):
            _require(getattr(self, name) > 0, f"train.{name} must be above 0, got {getattr(self, name)}")
        _require_one_of("train.optimizer", self.optimizer, ("adamw", "sgd"))
        _require_one_of("train.initialization", self.initialization, ("orthogonal", "uniform"))
        _require_one_of("train.precision", self.precision, ("fp32", "bf16"))


@dataclass(frozen=True, slots=True)
class CorpusConfig:
    """One corpus of a recipe: training and development files, each of a format that `bytespan.corpora` reads."""

    train: tuple[str, ...] = ()
    """Files to train on."""
    dev: tuple[str, ...] = ()
    """Files to score on while training."""
    name: str = ""
    """Short name for tables, e.g. the language; the first file's folder if empty."""
    language: str = ""
    """Parallel: language of the text, if the model is to tell it apart from others; the same name for languages that
    are to be taken for one."""
    weight: float = 1.0
    """Parallel: how many times as often as by its size, and `train.balance`, its text is drawn."""
    natural: bool = False
    """Whether to train on the text with natural spacing too, for files that set every token off by a space."""
    without: tuple[str, ...] = ()
    """Files whose lines are cut out of the training text: tests of other folders that share sentences with it."""
    sentences: int | None = None
    """Only the first so many sentences of each training file are trained on, or documents where the format has no
    sentences; None for all."""
    teachers: tuple[str, ...] = ()
    """Parallel: model packages whose probabilities are learnt along with the corpus's own tags; see
    `train.gold_weight`. As they are no data, relative paths count from the working directory."""
    agreement: float = 0.0
    """Parallel: if above 0, each of its segments stands in a batch twice, with different bytes and states dropped, and
    the divergence between what the model says of one and of the other has this weight in the loss, times
    `train.auxiliary_weight` (R-Drop, Liang et al. 2021). So text that it knows nearly by heart still teaches it."""
    copies: bool = False
    """Parallel: whether its text is copies of other text, with other names in it, say: their lines do not let the model
    know an n-gram."""

    def __post_init__(self) -> None:
        _require(self.agreement >= 0, f"corpus.agreement must be at least 0, got {self.agreement}")
        _require(
            self.sentences is None or self.sentences >= 1, f"corpus.sentences must be at least 1, got {self.sentences}"
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training: the model's shape, how it learns, and from what."""

    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    corpora: tuple[CorpusConfig, ...] = ()


PRESETS: Mapping[str, ModelConfig] = {
    "paper": ModelConfig(),
    "paper-1m": ModelConfig(layers=1),
    "parallel": ModelConfig(
        decoder="parallel", segment_length=4096, layers=2, units=160, embedding=48, known_bits=1 << 21
    ),
    "tiny": ModelConfig(layers=1, units=16, embedding=16, segment_length=30),
}
"""Named shapes. The paper gives both 4 x 320 (3.45 M parameters) and "roughly 900k", which is one layer."""

Config = TypeVar("Config", ModelConfig, TrainConfig, CorpusConfig)


def config_to_json(config: ModelConfig | TrainConfig | CorpusConfig) -> dict[str, Any]:
    """All settings as JSON values."""
    return asdict(config)


def config_from_json(kind: type[Config], values: Mapping[str, Any], *, source: str, table: str) -> Config:
    """A checked config from JSON or TOML values.

    Raises ConfigError naming the source, the key and the nearest known key, or the value and the type it should have.
    """
    hints = get_type_hints(kind)
    accepted: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(f"{source}: unknown setting {table}.{key}{_nearest(key, hints)}")
        accepted[key] = _checked(value, hints[key], source=source, name=f"{table}.{key}")
    try:
        return kind(**accepted)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file; ConfigError for anything that cannot be used, before any data is read."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    known = ("model", "train", "corpus")
    for table in tables:
        if table not in known:
            raise ConfigError(f"{path}: unknown table [{table}]{_nearest(table, known)}")
        if table == "corpus":
            is_list = isinstance(tables[table], list) and all(isinstance(item, dict) for item in tables[table])
            _require(is_list, f"{path}: corpus must be [[corpus]] tables, with two brackets, one a corpus")
        else:
            _require(isinstance(tables[table], dict), f"{path}: {table} must be a table, [{table}]")
    return Recipe(
        model=model_from_table(tables.get("model", {}), source=str(path)),
        train=config_from_json(TrainConfig, tables.get("train", {}), source=str(path), table="train"),
        corpora=tuple(
            config_from_json(CorpusConfig, table, source=str(path), table="corpus")
            for table in tables.get("corpus", [])
        ),
    )


def model_from_table(table: Mapping[str, Any], *, source: str) -> ModelConfig:
    """A model's settings; `preset` names the shape that the other settings change."""
    settings = dict(table)
    preset = settings.pop("preset", "paper")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ConfigError(f"{source}: unknown model.preset {preset!r}{_nearest(str(preset), PRESETS)}")
    return config_from_json(ModelConfig, asdict(PRESETS[preset]) | settings, source=source, table="model")


def override(recipe: Recipe, assignments: list[str]) -> Recipe:
    """The recipe with `--set train.batch_size=64` applied, each value read as TOML, all of them before any check."""
    changes: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        table, _, key = name.partition(".")
        if not separator or table not in changes or not key:
            raise ConfigError(f"--set {assignment}: write it as model.KEY=VALUE or train.KEY=VALUE")
        try:
            changes[table][key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[table][key] = text
    model = changes["model"] if "preset" in changes["model"] else asdict(recipe.model) | changes["model"]
    return replace(
        recipe,
        model=model_from_table(model, source="--set"),
        train=config_from_json(TrainConfig, asdict(recipe.train) | changes["train"], source="--set", table="train"),
    )


def choose_corpora(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """The recipe with only the corpora of these names; a folder of training files, such as pos/en, names them too."""
    folders = [{str(PurePosixPath(file).parent) for file in corpus.train} for corpus in recipe.corpora]
    named = [{corpus.name} | found for corpus, found in zip(recipe.corpora, folders, strict=True)]
    for name in names:
        if not any(name in known for known in named):
            known = dict.fromkeys(corpus.name for corpus in recipe.corpora if corpus.name)
            hint = _nearest(name, known) if known else ": give a --recipe that has corpora"
            raise ConfigError(f"--corpus {name}: no corpus of that name{hint}")
    chosen = (corpus for corpus, known in zip(recipe.corpora, named, strict=True) if known & set(names))
    return replace(recipe, corpora=tuple(chosen))


def _checked(value: Any, hint: Any, *, source: str, name: str) -> Any:
    options = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        if option is type(None) and value is None:
            return None
        if get_origin(option) is tuple and isinstance(value, (list, tuple)):
            (member,) = (kind for kind in get_args(option) if kind is not Ellipsis)
            return tuple(_checked(item, member, source=source, name=f"{name}[{i}]") for i, item in enumerate(value))
        if option is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(option, type) and isinstance(value, option) and isinstance(value, bool) == (option is bool):
            return value
    wanted = " or ".join(getattr(option, "__name__", str(option)) for option in options).replace("NoneType", "nothing")
    raise ConfigError(f"{source}: {name} must be {wanted}, got {value!r}")


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
