"""A whole inspection: of a model that carries what is asked for, and of texts that cannot be asked about."""

from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="needs the extra inspect")

from bytespan.errors import CorpusError
from bytespan.inspection.excerpts import EXCERPT_BYTES, MOST_EXCERPTS
from bytespan.inspection.report import figures
from bytespan.inspection.study import Inspection, inspect_model
from bytespan.package import read_package
from bytespan.spans import Document


def texts_of(documents: list[Document]) -> dict[str, list[Document]]:
    return {"de": [documents[0]] * 40, "ja": [documents[2]] * 60, "ru": [documents[3]] * 40}


@pytest.fixture(scope="module")
def found(tiny_parallel_package: Path, tiny_documents: list[Document]) -> Inspection:
    """What is found in a model that knows its texts by heart."""
    return inspect_model(read_package(tiny_parallel_package), texts_of(tiny_documents), threads=1)


def test_every_question_is_answered_in_every_layer(found: Inspection) -> None:
    names = [question.name for question in found.questions]
    assert {"script", "capital", "language", "part of speech", "entity"} <= set(names)
    assert [layer.name for layer in found.layers] == ["input", "layer 1", "layer 2"]
    assert all(list(layer.probes) == names for layer in found.layers)
    assert found.label == "part of speech"
    assert found.layers[-1].probes["part of speech"].accuracy > 0.9


def test_the_cells_of_a_question_are_of_lstm_layers_and_have_names(found: Inspection) -> None:
    for question in found.questions:
        scores = found.cells[question.name]
        assert [score.auc for score in scores] == sorted((score.auc for score in scores), reverse=True)
        assert len(scores) == (1 if len(question.classes) == 2 else len(question.classes))
        assert all(found.names[score.cell].startswith("layer ") for score in scores)


def test_excerpts_are_short_and_have_a_row_a_cell(found: Inspection) -> None:
    assert [excerpt.language for excerpt in found.excerpts] == ["de", "ja", "ru"][:MOST_EXCERPTS]
    for excerpt in found.excerpts:
        assert len(excerpt.data) <= EXCERPT_BYTES
        assert excerpt.activations.shape == (len(excerpt.rows), len(excerpt.starts))
        assert abs(excerpt.activations).max() <= 1
        cells = [row.cell for row in excerpt.rows]
        assert len(set(cells)) == len(cells)


def test_the_same_texts_give_the_same_figures(
    found: Inspection, tiny_parallel_package: Path, tiny_documents: list[Document]
) -> None:
    again = inspect_model(read_package(tiny_parallel_package), texts_of(tiny_documents), threads=1)
    assert figures(again) == figures(found)


def test_one_language_has_no_clusters_by_language(tiny_package: Path, tiny_documents: list[Document]) -> None:
    alone = {"ru": [tiny_documents[3]] * 40}
    found = inspect_model(read_package(tiny_package), alone, threads=1)
    assert "language" not in {question.name for question in found.questions}
    assert all(layer.clustering is None and not layer.transfers for layer in found.layers)
    assert found.map is not None
    assert found.reads_bytes


@pytest.mark.parametrize("model", ["tiny_package", "tiny_parallel_package"])
@pytest.mark.parametrize("text", [b"", b" \n ", b"few words"])
def test_too_little_text_is_an_error(model: str, text: bytes, request: pytest.FixtureRequest) -> None:
    package = read_package(request.getfixturevalue(model))
    with pytest.raises(CorpusError, match="too little text to ask anything"):
        inspect_model(package, {"de": [Document(text)]})
