"""`load`, `Tagger` and `pipe`, with a model that knows six sentences by heart."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import bytespan
from bytespan import ConfigError, CorpusError, Document, LabelError, ModelError, Tagger
from bytespan.neural.parallel import Parallel
from bytespan.tagger import PACKAGED_MODEL


@pytest.fixture(scope="module")
def tagger(tiny_package: Path) -> Tagger:
    return bytespan.load(tiny_package)


def test_text_gets_the_spans_that_the_model_learnt(tagger: Tagger, tiny_documents: list[Document]) -> None:
    assert [tagger(document.text).spans for document in tiny_documents] == [item.spans for item in tiny_documents]


def test_spans_have_text_label_offsets_and_score(tagger: Tagger) -> None:
    document = tagger("東京 は 大きい です 。")
    (entity,) = document.entities
    assert (entity.text, entity.label) == ("東京", "LOC")
    assert (entity.start, entity.end, entity.byte_start, entity.byte_end) == (0, 2, 0, 6)
    assert 0.5 < entity.score <= 1
    assert [token.text for token in document.tokens] == ["東京", "は", "大きい", "です", "。"]
    assert [document.text[token.start : token.end] for token in document.tokens] == [t.text for t in document.tokens]


def test_offsets_in_all_units_behind_an_emoji(tagger: Tagger) -> None:
    last = tagger("a 😀 b").tokens[-1]
    assert (last.start, last.byte_start, last.start_utf16) == (4, 7, 5)


def test_pipe_gives_what_single_calls_give(tagger: Tagger, tiny_documents: list[Document]) -> None:
    texts = [document.text for document in tiny_documents] * 3 + ["", "\0", "unseen words, longer than a segment " * 5]
    assert list(tagger.pipe(texts)) == [tagger(text) for text in texts]


def test_pipe_gives_the_same_with_several_processes(tagger: Tagger, tiny_documents: list[Document]) -> None:
    texts = [Document(document.data, identifier=i) for i, document in enumerate(tiny_documents * 3)]
    found = list(tagger.pipe(iter(texts), tasks=["entities"], workers=2))
    assert found == list(tagger.pipe(texts, tasks=["entities"]))
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        tagger.pipe(texts, workers=0)


def test_pipe_takes_texts_bytes_and_documents(tagger: Tagger, tiny_documents: list[Document]) -> None:
    gold = tiny_documents[0]
    named = Document(gold.data, identifier="x")
    found = list(tagger.pipe([gold.text, gold.data, bytearray(gold.data), named]))
    assert [document.spans for document in found] == [gold.spans] * 4
    assert [document.identifier for document in found] == [None, None, None, "x"]
    assert named.spans == {}


def test_pipe_is_lazy_and_reads_ahead_in_step_with_what_was_taken(tagger: Tagger) -> None:
    read = []

    def endless() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield f"text {number}"

    documents = tagger.pipe(endless())
    assert read == []
    assert next(documents).text == "text 0"
    assert len(read) == 1
    for number in range(1, 100):
        assert next(documents).text == f"text {number}"
        assert len(read) <= 4 * number + 1


def test_pipe_hands_on_what_the_texts_raise(tagger: Tagger) -> None:
    def broken() -> Iterator[str]:
        yield "fine"
        raise CorpusError("line 2: no text")

    documents = tagger.pipe(broken())
    assert next(documents).text == "fine"
    with pytest.raises(CorpusError, match="line 2"):
        next(documents)


def test_empty_text_has_no_spans(tagger: Tagger) -> None:
    for empty in ("", b""):
        assert tagger(empty) == Document(b"", {"tokens": [], "entities": []})


def test_no_texts_give_no_documents(tagger: Tagger) -> None:
    assert list(tagger.pipe([])) == []


def test_bytes_that_are_not_utf8_have_byte_offsets_only(tagger: Tagger) -> None:
    data = b"\xff\xfe\x80 " + b"Angela Merkel besuchte Paris ." + b" \xc3"
    document = tagger(data)
    assert document.data == data
    for span in document.tokens + document.entities:
        assert span.start is span.end is None
        assert 0 <= span.byte_start < span.byte_end <= len(data)


def test_lone_surrogate_is_named(tagger: Tagger) -> None:
    with pytest.raises(CorpusError, match=r"lone surrogate '\\ud800' at character 2"):
        tagger("ab\ud800")


def test_no_other_type_is_taken_for_text(tagger: Tagger) -> None:
    for wrong in (None, 7, ["a list"]):
        with pytest.raises(TypeError, match="str, bytes or Document"):
            tagger(wrong)  # type: ignore[arg-type]


def test_one_text_given_to_pipe_is_not_taken_for_many(tagger: Tagger) -> None:
    for text in ("text", b"text"):
        with pytest.raises(TypeError, match="an iterable of texts"):
            tagger.pipe(text)


def test_some_tasks_can_be_chosen(tagger: Tagger, tiny_documents: list[Document]) -> None:
    gold = tiny_documents[0]
    assert tagger(gold.text, tasks=["entities"]).spans == {"entities": gold.spans["entities"]}
    assert list(tagger(gold.text, tasks=("entities", "tokens")).spans) == ["entities", "tokens"]
    assert tagger(gold.text, tasks=[]).spans == {}


def test_unknown_task_is_refused_before_anything_is_read(tagger: Tagger) -> None:
    with pytest.raises(LabelError, match=r"task 'chunks' is not one of this model's \(tokens, entities\)"):
        tagger.pipe(iter([1 / 1]), tasks=["chunks"])  # type: ignore[list-item]


def test_beam_search_finds_what_was_learnt_too(tagger: Tagger, tiny_documents: list[Document]) -> None:
    for document in tiny_documents:
        assert tagger(document.text, beam_size=3).spans == document.spans


def test_beam_size_below_one_is_refused(tagger: Tagger) -> None:
    with pytest.raises(ValueError, match="beam_size must be at least 1, got 0"):
        tagger("text", beam_size=0)


def test_many_threads_get_the_answers_of_one(tagger: Tagger, tiny_documents: list[Document]) -> None:
    texts = [document.text * (1 + i) for i, document in enumerate(tiny_documents)]
    expected = [tagger(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(tagger, text) for text in texts * 8]
        pipes = [pool.submit(lambda: list(tagger.pipe(texts))) for _ in range(8)]
        assert [call.result() for call in calls] == expected * 8
        assert [pipe.result() for pipe in pipes] == [expected] * 8


def test_tagger_tells_what_its_model_is(tagger: Tagger, tiny_package: Path) -> None:
    assert tagger.tasks == ("tokens", "entities")
    assert tagger.labels["entities"] == ("LOC", "PER")
    assert tagger.path == tiny_package
    assert tagger.provenance.languages == ("de", "es", "ja", "ru")
    assert tagger.card.startswith("# tiny 1\n")
    assert repr(tagger) == "<Tagger tiny 1: tokens, entities>"


def test_zip_file_tags_like_its_directory(tagger: Tagger, tiny_package: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "tiny"), "zip", tiny_package, ".")
    text = "Angela Merkel besuchte Paris ."
    assert bytespan.load(packed)(text) == tagger(text)
    assert bytespan.load(packed, threads=2)(text) == tagger(text)


def test_package_with_a_graph_that_is_none_is_refused(tiny_package: Path, tmp_path: Path) -> None:
    from bytespan.package import read_package, write_package

    package = read_package(tiny_package)
    for graph in (b"", b"no graph", package.onnx[:-100]):
        write_package(
            tmp_path / "model",
            config=package.config,
            labels=package.labels,
            provenance=package.provenance,
            onnx=graph,
        )
        with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded") as caught:
            bytespan.load(tmp_path / "model")
        assert "\n" not in str(caught.value)


def test_absent_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: no such model"):
        bytespan.load(tmp_path / "nowhere")


@pytest.mark.skipif(PACKAGED_MODEL.exists(), reason="this checkout has a packaged model")
def test_installation_without_a_packaged_model_says_so() -> None:
    with pytest.raises(ModelError, match="holds no packaged model"):
        bytespan.load()


LOADED = """
import sys
import bytespan
assert bytespan.Document and bytespan.ModelError
heavy = {"torch", "onnx", "onnxruntime", "safetensors"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
tagger = bytespan.load(sys.argv[1])
print([span.text for span in tagger("Angela Merkel besuchte Paris .").entities])
heavy.remove("onnxruntime")
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert not {"socket", "ssl", "urllib.request", "http.client"} & set(sys.modules)
"""


def test_tagging_loads_neither_torch_nor_a_network(tiny_package: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(tiny_package)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("['Angela Merkel', 'Paris']\n", "")


@pytest.fixture(scope="module", params=["tiny_package", "tiny_parallel_package"])
def either(request: pytest.FixtureRequest) -> Path:
    """A model of each decoder."""
    path: Path = request.getfixturevalue(request.param)
    return path


UNSURE = "Angela México , viajó Merkel Paris ; Баха Ангела 東 京 x Мерк presidente El Paris ayer"
"""Words that the model knows in places that it does not."""


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_parts_of_a_text_make_it_up_and_have_its_spans(
    either: Path, tiny_documents: list[Document], threshold: float | None
) -> None:
    tagger = bytespan.load(either)
    for text in (b"", b" ", b"\xff or so", UNSURE.encode() * 3, b"\n".join(item.data for item in tiny_documents)):
        whole = tagger(text, threshold=threshold)
        parts = list(tagger.parts(text, threshold=threshold))
        assert b"".join(part.data for _, part in parts) == text
        for task in tagger.tasks:
            found = [span.shifted(by=begin) for begin, part in parts for span in part.spans[task]]
            assert tuple(found) == whole.spans[task]
    assert {part.identifier for _, part in tagger.parts(Document(b"a", identifier=7))} == {7}


def test_lower_threshold_gives_more_spans_and_a_higher_one_fewer(either: Path) -> None:
    tagger = bytespan.load(either)
    found = [tagger(UNSURE, threshold=threshold).entities for threshold in (0.006, 0.2, 0.6, 0.98)]
    for more, fewer in itertools.pairwise(found):
        assert set(fewer) <= set(more)
    assert len(found[0]) > len(found[-1])
    for spans, threshold in zip(found, (0.006, 0.2, 0.6, 0.98), strict=True):
        assert all(span.score >= threshold for span in spans)
        assert all(a.byte_end <= b.byte_start for a, b in itertools.pairwise(spans))


def test_untuned_entities_of_a_parallel_decoder_are_those_more_likely_than_the_usual_threshold(
    tiny_parallel_package: Path, tiny_parallel: Parallel
) -> None:
    """In use and in the development scores of a training."""
    from bytespan.calibration import USUAL_THRESHOLD
    from bytespan.neural.scoring import predict

    tagger, words = bytespan.load(tiny_parallel_package), UNSURE.split()
    texts = [" ".join(words[i:] + words[:i]) for i in range(len(words))]
    texts += [text.upper() for text in texts]
    found = list(tagger.pipe(texts))
    with_threshold = list(tagger.pipe(texts, threshold=USUAL_THRESHOLD))
    assert [document.entities for document in found] == [document.entities for document in with_threshold]
    in_training = predict(tiny_parallel, [document.data for document in found], tasks=["entities"])
    assert [tuple(sorted(spans["entities"])) for spans in in_training] == [item.spans["entities"] for item in found]
    assert any(span.score < 0.5 for document in found for span in document.entities)
    assert any(token.score < USUAL_THRESHOLD for document in found for token in document.tokens)


def test_alternatives_are_the_likely_spans_that_overlap_too(either: Path) -> None:
    tagger = bytespan.load(either)
    flat = tagger(UNSURE, threshold=0.006)
    overlapping = tagger(UNSURE, threshold=0.006, alternatives=True)
    assert set(flat.entities) < set(overlapping.entities)
    for span in set(overlapping.entities) - set(flat.entities):
        rivals = [s for s in flat.entities if s.byte_start < span.byte_end and span.byte_start < s.byte_end]
        assert max(rival.score for rival in rivals) >= span.score


def test_threshold_of_one_task_leaves_the_others_alone(either: Path, tiny_documents: list[Document]) -> None:
    tagger = bytespan.load(either)
    found, plain = tagger(UNSURE, threshold={"entities": 0.99}), tagger(UNSURE)
    assert found.tokens == plain.tokens
    assert list(tagger.pipe([UNSURE] * 3, threshold={"entities": 0.99})) == [found] * 3
    known = tiny_documents[0]
    assert tagger(known.text, threshold=0.5).spans == known.spans


def test_tuned_model_uses_its_operating_point_unless_told_otherwise(either: Path, tmp_path: Path) -> None:
    from bytespan.calibration import Calibration, CurvePoint
    from bytespan.package import add_tuning, read_package
    from bytespan.tuning import Tuning, tunings_to_json

    points = (CurvePoint(0.1, 0.5, 0.9), CurvePoint(0.8, 0.9, 0.5))
    tuning = Tuning(Calibration(0.5, -1.0), points[0], False, points, points)
    package = read_package(either)
    add_tuning(package, tmp_path / "tuned.zip", tuning=tunings_to_json({"entities": tuning}))
    tuned, plain = bytespan.load(tmp_path / "tuned.zip"), bytespan.load(either)
    assert tuned(UNSURE).entities == tuned(UNSURE, threshold={"entities": 0.1}).entities
    assert tuned(UNSURE).tokens == plain(UNSURE).tokens
    probability = tuning.calibration.probability(0.1)
    raw = plain(UNSURE, threshold=probability).entities
    assert [(span.byte_start, span.byte_end, span.label) for span in tuned(UNSURE).entities] == [
        (span.byte_start, span.byte_end, span.label) for span in raw
    ]
    assert all(own.score != other.score for own, other in zip(tuned(UNSURE).entities, raw, strict=True))
    assert tuned.threshold_for("entities", precision=0.9) == 0.8
    assert tuned.threshold_for("entities", recall=0.6) == 0.1
    assert list(tuned.tunings) == ["entities"]
    as_before = bytespan.load(tmp_path / "tuned.zip", tuned=False)
    assert as_before(UNSURE) == plain(UNSURE)
    assert [s.score for s in as_before(UNSURE).entities] == [s.score for s in plain(UNSURE).entities]
    assert dict(read_package(tmp_path / "tuned.zip").files).keys() == {*package.files, "tuning.json"}
    for name, data in package.files.items():
        assert read_package(tmp_path / "tuned.zip").files[name] == data


def test_operating_point_of_a_model_that_was_not_tuned_cannot_be_looked_up(tagger: Tagger) -> None:
    with pytest.raises(ConfigError, match="its entities were not tuned: run bytespan tune"):
        tagger.threshold_for("entities", recall=0.9)
    with pytest.raises(LabelError, match="task 'chunks' is not one"):
        tagger.threshold_for("chunks", recall=0.9)


def test_choices_that_cannot_be_combined_are_refused(tagger: Tagger) -> None:
    with pytest.raises(ConfigError, match="alternatives need a threshold"):
        tagger("text", alternatives=True)
    with pytest.raises(ConfigError, match="beam_size must be 1 where a threshold chooses the spans, got 2"):
        tagger("text", threshold=0.5, beam_size=2)
    with pytest.raises(LabelError, match="task 'entity' is not one of this model's"):
        tagger("text", threshold={"entity": 0.5})
    with pytest.raises(ConfigError, match="threshold must be above 0 and below 1, got 1"):
        tagger("text", threshold=1)


def test_damaged_tuning_is_refused_by_its_name(tiny_package: Path, tmp_path: Path) -> None:
    from bytespan.package import add_tuning, read_package

    add_tuning(read_package(tiny_package), tmp_path / "model", tuning=b"{}")
    with pytest.raises(ModelError, match=r"tuning\.json: not as docs/format\.md says: tune the model again"):
        bytespan.load(tmp_path / "model")
    assert bytespan.load(tmp_path / "model", tuned=False)("text").text == "text"
