"""Small trainings, each told apart by its settings: trained, scored, recorded, and never made twice."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from cutting import write_first_sentences
from scoring import read_json, write_json

from bytespan.config import ModelConfig, Recipe, choose_corpora, override, read_recipe

RECIPES = Path(__file__).parent
AS_TRAINED = ""
"""The use of a model as it was trained."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training."""

    recipe: str
    """A file of recipes/, the scale."""
    settings: tuple[str, ...] = ()
    """What is otherwise than in the recipe, as `bytespan train --set` takes it."""
    corpora: tuple[str, ...] = ("en",)
    sentences: int | None = None
    """Of the last corpus's training file the first so many; all if None."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this machine."""

    data: Path
    work: Path
    results: Path
    threads: int


Uses = Mapping[Trial, Sequence[str]]
"""Trial -> the settings of the model with which it is used; AS_TRAINED for none."""


def recipe_of(trial: Trial, seed: int = 1) -> Recipe:
    """What is trained."""
    recipe = choose_corpora(read_recipe(RECIPES / f"{trial.recipe}.toml"), trial.corpora)
    return override(recipe, [*trial.settings, f"train.seed={seed}"])


def measure(uses: Uses, seeds: Sequence[int], places: Places) -> None:
    """Make what is not there yet; the result file is written after every training."""
    for seed, trial in ((seed, trial) for seed in seeds for trial in uses):
        entries = read_json(places.results) or []
        named = identity(trial, seed)
        known = [entry for entry in entries if named.items() <= entry.items()]
        if any(entry["scores"].keys() >= set(uses[trial]) for entry in known):
            continue
        entry = named | make(trial, seed, uses[trial], places)
        write_json(places.results, [*(old for old in entries if old not in known), entry])
        said = ", ".join(f"{use or 'as trained'} {scores}" for use, scores in entry["scores"].items())
        report(f"{trial.recipe} {' '.join(trial.settings)} {'+'.join(trial.corpora)} seed {seed}: {said}")


def identity(trial: Trial, seed: int) -> dict[str, Any]:
    """What tells an entry of the result file from others."""
    return asdict(trial) | {"settings": list(trial.settings), "corpora": list(trial.corpora), "seed": seed}


def make(trial: Trial, seed: int, uses: Sequence[str], places: Places) -> dict[str, Any]:
    """Train to the last step, and score each use of the model on the development files."""
    from bytespan.neural import runs
    from bytespan.neural.checkpoint import new_state
    from bytespan.neural.decoders import new_sampler
    from bytespan.neural.training import train
    from bytespan.vocabulary import Vocabulary

    runs.prepare(device="cpu", threads=places.threads)
    recipe = _cut(recipe_of(trial, seed), trial.sentences, places)
    began_s = time.process_time()
    corpora = runs.read_corpora(recipe.corpora, data=places.data, dev_bytes=recipe.train.dev_bytes)
    state = new_state(recipe.model, Vocabulary(recipe.model.segment_length, corpora.labels), recipe.train)
    sampler = new_sampler(corpora.train, state.model.vocabulary, recipe.model, recipe.train)
    for record in train(state, sampler, [], recipe.train):
        if record.step % (recipe.train.steps // 4) == 0:
            report(f"step {record.step}, loss {record.loss:.3f}")
    cpu_s = round(time.process_time() - began_s)
    scores = {}
    for use in uses:
        state.model.config = model_at_use(recipe, use)
        scores[use] = _scores(state.model, corpora.dev)
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    read = round(state.progress.bytes_seen / 1e6, 2)
    return {"steps": recipe.train.steps, "megabytes": read, "parameters": parameters, "cpu_s": cpu_s, "scores": scores}


def model_at_use(recipe: Recipe, use: str) -> ModelConfig:
    """The settings with which a trained model is used."""
    return override(recipe, [use] if use else []).model


def _scores(model: Any, dev: Sequence[Any]) -> dict[str, float]:
    from bytespan.neural.scoring import score_corpora

    return {corpus: round(score.main, 2) for (corpus, _), score in score_corpora(model.eval(), dev).items()}


def _cut(recipe: Recipe, sentences: int | None, places: Places) -> Recipe:
    """The recipe, its last corpus cut to the first sentences."""
    if sentences is None:
        return recipe
    *others, last = recipe.corpora
    (name,) = last.train
    target = (places.work / str(sentences) / name).absolute()
    write_first_sentences(places.data / name, target, sentences)
    return replace(recipe, corpora=(*others, replace(last, train=(str(target),))))


def found_scores(entries: Sequence[Mapping[str, Any]], trial: Trial, use: str) -> list[dict[str, float]]:
    """Corpus -> score, a seed each."""
    named = identity(trial, 0)
    named.pop("seed")
    return [entry["scores"][use] for entry in entries if named.items() <= entry.items() and use in entry["scores"]]


def mean_over_seeds(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Corpus -> mean; of none nothing."""
    return {corpus: mean(score[corpus] for score in scores) for corpus in scores[0]} if scores else {}


def spread_over_seeds(scores: Sequence[Mapping[str, float]]) -> float | None:
    """The standard deviation of the mean over corpora, if there are several seeds."""
    return stdev(mean(score.values()) for score in scores) if len(scores) > 1 else None


def scale_of(name: str) -> str:
    """The scale of a recipe in a sentence."""
    recipe = read_recipe(RECIPES / f"{name}.toml")
    model, train = recipe.model, recipe.train
    kind = "the parallel decoder" if model.decoder == "parallel" else "the generator"
    length = train.segment_bytes if model.decoder == "parallel" else model.segment_length
    return (
        f"`{name}.toml`, {kind}: {model.layers} x {model.units} units, {train.steps} steps of {train.batch_size} "
        f"segments of {length} bytes"
    )


def report(line: str) -> None:
    """Say how it goes, on standard error."""
    print(line, file=sys.stderr, flush=True)
