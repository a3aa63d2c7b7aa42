"""What rounding costs: measured by tagging, counted as `bytespan evaluate` counts."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bytespan.corpora.writing import write_documents
from bytespan.errors import ConfigError, CorpusError, LabelError
from bytespan.evaluation import score_documents
from bytespan.neural.export import export_package
from bytespan.package import Provenance
from bytespan.price import Price, measure_prices, refuse_dear
from bytespan.spans import Document
from bytespan.tagger import load
from networks import unfit_for_int8

if TYPE_CHECKING:
    from bytespan.neural.generate import Generator
    from bytespan.neural.parallel import Parallel


@pytest.fixture
def gold(tiny_documents: list[Document], tmp_path: Path) -> Path:
    """A file of what the tiny models know by heart."""
    with (tmp_path / "gold.jsonl").open("wb") as stream:
        write_documents(tiny_documents, stream, format="jsonl")
    return tmp_path / "gold.jsonl"


def test_rounding_costs_nothing_where_every_span_stays(
    tiny_parallel: "Parallel", tiny_generator: "Generator", gold: Path
) -> None:
    for model in (tiny_parallel, tiny_generator):
        prices = measure_prices(model, [gold], precision="int8", threads=1)
        assert prices == [Price(str(gold), task, 100.0, 100.0) for task in model.vocabulary.tasks]
        refuse_dear(prices, precision="int8", remedy="pay")


def test_the_price_is_what_the_two_packages_score(
    tiny_parallel: "Parallel", tiny_documents: list[Document], gold: Path, tmp_path: Path
) -> None:
    model = unfit_for_int8(tiny_parallel)
    found = {}
    for precision in ("fp32", "int8"):
        export_package(model, tmp_path / precision, provenance=Provenance("tiny"), precision=precision)
        pairs = list(zip(tiny_documents, load(tmp_path / precision, threads=1).pipe(tiny_documents), strict=True))
        found[precision] = {task: score_documents(pairs, task=task).main for task in ("tokens", "entities")}
    prices = measure_prices(model, [gold], precision="int8", threads=1)
    assert {price.task: price.exact for price in prices} == found["fp32"]
    assert {price.task: price.rounded for price in prices} == found["int8"]
    assert all(price.points > 10 for price in prices)
    with pytest.raises(ConfigError, match=r"int8 costs \d+\.\d\d points of .*gold\.jsonl, more than 0\.3, so nothing"):
        refuse_dear(prices, precision="int8", remedy="pay")


def test_the_dearest_file_of_any_task_decides() -> None:
    prices = [Price("a", "tokens", 90.0, 89.75), Price("b", "tokens", 90.0, 90.1), Price("a", "entities", 80.0, 79.5)]
    refuse_dear(prices[:2], precision="int8", remedy="pay")
    refuse_dear([], precision="int8", remedy="pay")
    with pytest.raises(ConfigError, match=r"int8 costs 0\.50 points of entities F1 on a, .* or pay"):
        refuse_dear(prices, precision="int8", remedy="pay")


def test_a_file_that_cannot_be_measured_on_is_an_error(tiny_parallel: "Parallel", tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"absent\.conll"):
        measure_prices(tiny_parallel, [tmp_path / "absent.conll"], precision="int8")
    with (tmp_path / "other.jsonl").open("wb") as stream:
        write_documents([Document(b"a", {"verses": []})], stream, format="jsonl")
    with pytest.raises(LabelError, match=r"other\.jsonl: no spans of tokens and entities"):
        measure_prices(tiny_parallel, [tmp_path / "other.jsonl"], precision="int8")
