"""A tiny model adapted: it learns what is new, keeps what it knew, and says so."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bytespan.adaptation import (
    CARRIED,
    COPIES,
    STEPS,
    Adaptation,
    Change,
    adapt,
    export_adapted,
    measure_changes,
    prepare_adaptation,
    settings_for,
)
from bytespan.config import TrainConfig
from bytespan.corpora.annotated import annotate
from bytespan.corpora.writing import write_documents
from bytespan.errors import ConfigError, CorpusError, ModelError
from bytespan.languages import count_profiles, language_of, profiles_of
from bytespan.neural.export import export_package
from bytespan.neural.parallel import Parallel
from bytespan.neural.rehearsal import Rehearsal, pack_sample, read_sample
from bytespan.neural.scoring import predict
from bytespan.neural.unit_batches import ngrams_met
from bytespan.ngrams import ngrams_of
from bytespan.package import ADDED_BYTES, Package, Provenance, add_tuning, read_package
from bytespan.spans import Document, Span
from bytespan.tagger import load
from bytespan.units import cut_units

DISHES = ("ramen", "borscht", "pho", "tacos", "pilaf")
PEOPLE = ("Ana", "Bo", "Chi", "Dov", "Eva", "Fay", "Gus", "Hal")


def eaten(person: str, dish: str) -> Document:
    """ "Ana ate ramen." with the dish marked, and nothing else."""
    text = f"{person} ate {dish}."
    return Document(text.encode(), {"entities": [Span(text.index(dish), text.index(dish) + len(dish), "DISH")]})


MEALS = [eaten(person, dish) for person in PEOPLE for dish in DISHES]


@dataclass(frozen=True, slots=True)
class Adapted:
    adaptation: Adaptation
    changes: list[Change]
    path: Path
    train: Path

    @property
    def package(self) -> Package:
        return read_package(self.path)


@pytest.fixture(scope="module")
def carrying(tiny_parallel: Parallel, tiny_documents: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model without weights to train on, in 8 bits, with all that it knows by heart as sample, twice."""
    path = tmp_path_factory.mktemp("adapt") / "old"
    sample = pack_sample(2 * [document.data for document in tiny_documents])
    provenance = Provenance(
        "old", version="3", languages=("de",), licence="CC BY 4.0", scores={"six sentences F1": 1.0}
    )
    export_package(tiny_parallel, path, provenance=provenance, precision="int8", with_weights=False, sample=sample)
    return path


@pytest.fixture(scope="module")
def adapted(carrying: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    folder = tmp_path_factory.mktemp("adapted")
    with (folder / "meals.jsonl").open("wb") as stream:
        write_documents(MEALS, stream, format="jsonl")
    files = [str(folder / "meals.jsonl")]
    adaptation = prepare_adaptation(carrying, files)
    settings = replace(adaptation.settings, steps=120, learning_rate=1e-2)  # so small a model needs larger steps
    adaptation = replace(adaptation, settings=settings)
    for _ in adapt(adaptation):
        pass
    changes = measure_changes(adaptation, threads=1)
    export_adapted(adaptation, folder / "new", name="new", files=files, languages=("en", "de"), changes=changes)
    return Adapted(adaptation, changes, folder / "new", folder / "meals.jsonl")


def test_an_adapted_model_knows_the_new_label_and_what_the_old_one_knew(
    adapted: Adapted, tiny_documents: list[Document]
) -> None:
    tagger = load(adapted.path, threads=1)
    found = tagger.pipe(MEALS, tasks=["entities"])
    right = [
        [span for span in document.spans["entities"] if span.label == "DISH"] == list(meal.spans["entities"])
        for document, meal in zip(found, MEALS, strict=True)
    ]
    assert sum(right) > 0.8 * len(MEALS)
    again = tagger.pipe(tiny_documents)
    kept = [
        {(span.start, span.end, span.label) for span in document.spans[task]}
        == {(span.start, span.end, span.label) for span in gold.spans[task]}
        for document, gold in zip(again, tiny_documents, strict=True)
        for task in gold.spans
    ]
    assert sum(kept) > 0.8 * len(kept)


def test_every_second_step_rehearses(carrying: Path, adapted: Adapted) -> None:
    steps = adapt(prepare_adaptation(carrying, [str(adapted.train)]))
    assert [next(steps).auxiliary_loss > 0 for _ in range(4)] == [True, False, True, False]


def test_changes_tell_what_was_learnt_and_what_was_kept(adapted: Adapted) -> None:
    learnt = [change for change in adapted.changes if not change.is_kept]
    kept = [change for change in adapted.changes if change.is_kept]
    assert [(change.task, change.before) for change in learnt] == [("entities", 0.0)]
    assert learnt[0].after > 50
    assert [(change.text, change.task, change.before) for change in kept] == [
        (CARRIED, "tokens", 100.0), (CARRIED, "entities", 100.0),
    ]  # fmt: skip
    assert all(change.after > 80 for change in kept)


def test_changes_are_measured_on_gold_files_if_there_are_any(
    adapted: Adapted, tiny_documents: list[Document], tmp_path: Path
) -> None:
    with (tmp_path / "old.jsonl").open("wb") as stream:
        write_documents(tiny_documents, stream, format="jsonl")
    changes = measure_changes(adapted.adaptation, [str(tmp_path / "old.jsonl")], threads=1)
    kept = [change for change in changes if change.is_kept]
    assert [change.text for change in kept] == 2 * [str(tmp_path / "old.jsonl")]
    assert all(change.before == 100 for change in kept)


def test_an_adapted_package_is_made_like_the_old_one(adapted: Adapted, carrying: Path) -> None:
    old, new = read_package(carrying), adapted.package
    assert new.labels["tokens"] == old.labels["tokens"]
    assert new.labels["entities"] == (*old.labels["entities"], "DISH")
    assert adapted.adaptation.new_labels == {"entities": ("DISH",)}
    assert (new.provenance.precision, new.weights) == ("int8", None)
    assert read_sample(new) == read_sample(old)
    assert new.config == old.config


def test_an_adapted_package_carries_some_of_the_new_text_too_if_asked(
    adapted: Adapted, carrying: Path, tmp_path: Path
) -> None:
    (tmp_path / "long.txt").write_text(2000 * "Ana ate ramen.\n", encoding="utf-8")
    samples = [str(adapted.train), str(tmp_path / "long.txt")]
    adaptation = prepare_adaptation(carrying, [str(adapted.train)], samples=samples)
    export_adapted(adaptation, tmp_path / "new", name="new", files=[])
    known = [*read_sample(read_package(carrying)), *(meal.data for meal in MEALS)]
    texts = read_sample(read_package(tmp_path / "new"))
    assert texts[: len(known)] == known
    assert ADDED_BYTES - len("Ana ate ramen.") < sum(map(len, texts[len(known) :])) <= ADDED_BYTES
    with pytest.raises(CorpusError, match=r"absent\.conll"):
        prepare_adaptation(carrying, [str(adapted.train)], samples=["absent.conll"])


def test_the_card_names_origin_licence_and_new_data(adapted: Adapted) -> None:
    provenance, card = adapted.package.provenance, adapted.package.card
    assert (provenance.name, provenance.version, provenance.licence) == ("new", "1", "CC BY 4.0")
    assert provenance.languages == ("de", "en")
    assert str(adapted.train) in " ".join(provenance.training_data)
    assert "six sentences F1" not in provenance.scores
    assert len(provenance.scores) == len(adapted.changes)
    assert "From old 3 (CC BY 4.0)" in card
    assert "New labels: entities: DISH" in card


def test_an_adapted_model_can_be_adapted_again(adapted: Adapted) -> None:
    again = prepare_adaptation(adapted.path, [str(adapted.train)])
    assert again.new_labels == {}
    assert again.rehearsed == adapted.adaptation.rehearsed


def test_development_files_leave_all_lines_to_learn_from(adapted: Adapted, carrying: Path) -> None:
    file = str(adapted.train)
    split, whole = (prepare_adaptation(carrying, [file], dev) for dev in ((), (file,)))
    assert len(whole.train) == (1 + COPIES) * len(MEALS)
    assert len(split.train) == (1 + COPIES) * 0.95 * len(MEALS)
    assert [len(a.dev[0].documents) for a in (split, whole)] == [0.05 * len(MEALS), len(MEALS)]
    held_out = {document.data for document in split.dev[0].documents}
    as_written = split.train[: len(split.train) // (1 + COPIES)]
    assert not held_out & {member.document.data for member in as_written}


def test_mentions_are_swapped_within_a_file_and_its_labels(carrying: Path, tmp_path: Path) -> None:
    files = {"meals": MEALS, "people": [Document(b"Ana sang.", {"entities": [Span(0, 3, "PER")]})] * 2}
    for name, documents in files.items():
        with (tmp_path / f"{name}.jsonl").open("wb") as stream:
            write_documents(documents, stream, format="jsonl")
    adaptation = prepare_adaptation(carrying, [str(tmp_path / f"{name}.jsonl") for name in files])
    for member in adaptation.train:
        labels = member.labels["entities"]
        assert labels in ({"DISH"}, {"PER"})
        assert {span.label for span in member.document.spans["entities"]} <= labels
    written = {document.data for document in MEALS}
    new = {member.document.data for member in adaptation.train} - written
    assert {member.document.data for member in adaptation.train} & written
    assert all(text == b"Ana sang." or text.endswith(tuple(f"{dish}.".encode() for dish in DISHES)) for text in new)


def test_a_new_label_begins_as_what_is_nowhere(carrying: Path, adapted: Adapted) -> None:
    """Before any step the model with one label more tags old text as the old one does."""
    adaptation = prepare_adaptation(carrying, [str(adapted.train)])
    model = adaptation.state.model
    data = [*adaptation.rehearsed, *adaptation.asked]
    assert predict(model, data, tasks=model.vocabulary.tasks) == predict(
        adaptation.old, data, tasks=model.vocabulary.tasks
    )
    loss = Rehearsal(adaptation.old, data, seed=1).loss(model, 0).item()
    assert 0 < loss < 0.1


def test_more_text_takes_more_steps_within_bounds() -> None:
    steps = [settings_for(size).steps for size in (0, 1_000, 50_000, 100_000, 10_000_000)]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == STEPS
    assert len(set(steps)) > 2


def test_a_generator_is_refused(tiny_package: Path, adapted: Adapted) -> None:
    with pytest.raises(ModelError, match="only a parallel decoder can be adapted"):
        prepare_adaptation(tiny_package, [str(adapted.train)])


def test_documents_without_spans_are_refused(carrying: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.conll").write_text("Ana O\nate O\n\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bare\.conll: no document with a span"):
        prepare_adaptation(carrying, [str(tmp_path / "bare.conll")])


def test_a_model_of_several_languages_learns_another_one(
    tiny_parallel: Parallel, tiny_documents: list[Document], adapted: Adapted, tmp_path: Path
) -> None:
    model = Parallel(replace(tiny_parallel.config, languages=("de", "en")), tiny_parallel.vocabulary)
    model.load_state_dict(tiny_parallel.state_dict(), strict=False)
    texts = [("de", cut_units(document.data)) for document in tiny_documents] + [("en", cut_units(b"the cat sat on"))]
    model.know(count_profiles(texts, ["de", "en"]))
    sample = pack_sample([document.data for document in tiny_documents])
    export_package(model, tmp_path / "old", provenance=Provenance("old"), with_weights=False, sample=sample)
    adaptation = prepare_adaptation(tmp_path / "old", [str(adapted.train)])
    next(adapt(adaptation))
    export_adapted(adaptation, tmp_path / "new", name="new", files=())
    profiles = profiles_of(read_package(tmp_path / "new"))
    assert profiles is not None
    assert profiles.names == ("de", "en", "")
    assert language_of(cut_units(MEALS[0].data), profiles) == ""
    assert load(tmp_path / "new")(MEALS[0]).data == MEALS[0].data


def test_a_model_that_knows_some_ngrams_meets_those_of_the_new_text(
    tiny_parallel: Parallel, tiny_documents: list[Document], adapted: Adapted, tmp_path: Path
) -> None:
    model = Parallel(replace(tiny_parallel.config, known_bits=1 << 16), tiny_parallel.vocabulary)
    model.load_state_dict(tiny_parallel.state_dict(), strict=False)
    before = ngrams_met(annotate(tiny_documents), model.config, TrainConfig(least_lines=1))
    assert before is not None
    model.meet(before)
    sample = pack_sample([document.data for document in tiny_documents])
    export_package(model, tmp_path / "old", provenance=Provenance("old"), with_weights=False, sample=sample)
    with (tmp_path / "meals.jsonl").open("wb") as stream:
        write_documents([eaten("Ana", "laksa"), *MEALS], stream, format="jsonl")
    adaptation = prepare_adaptation(tmp_path / "old", [str(tmp_path / "meals.jsonl")])
    assert sum(b"laksa" in member.document.data for member in adaptation.train) > 1
    next(adapt(adaptation))
    export_adapted(adaptation, tmp_path / "new", name="new", files=())
    after = ngrams_of(read_package(tmp_path / "new"))
    assert after is not None
    assert all(after.holds(cut_units(document.data).hashes).all() for document in tiny_documents)
    assert after.holds(cut_units(b"ramen").hashes).all()
    assert not before.holds(cut_units(b"ramen").hashes).all()
    assert not after.holds(cut_units(b"laksa").hashes)[0, 0]  # of one line, however often swapped into others


def test_a_tuned_model_is_compared_as_it_was_before_that(
    carrying: Path, adapted: Adapted, tiny_documents: list[Document], tmp_path: Path
) -> None:
    """A threshold that lets nothing through would make all that is known look forgotten, or learnt."""
    tuning = {
        "slope": 1.0, "offset": 0.0, "chosen": [0.99, 1.0, 0.1], "alternatives": False,
        "flat": [[0.99, 1.0, 0.1]], "overlapping": [[0.99, 1.0, 0.1]],
    }  # fmt: skip
    content = json.dumps({"version": 1, "tasks": {"entities": tuning}}).encode()
    add_tuning(read_package(carrying), tmp_path / "tuned", tuning=content)
    assert len(load(tmp_path / "tuned")(tiny_documents[0]).entities) < len(load(carrying)(tiny_documents[0]).entities)
    plain, tuned = (
        measure_changes(prepare_adaptation(model, [str(adapted.train)]), threads=1)
        for model in (carrying, tmp_path / "tuned")
    )
    assert [replace(change, text="") for change in tuned] == [replace(change, text="") for change in plain]
