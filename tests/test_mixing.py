"""What recipes/mixtures.py and recipes/mixing.py make of text in two languages."""

from argparse import ArgumentTypeError, Namespace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bytespan
from bytespan.corpora.writing import write_documents
from bytespan.spans import Document, Span
from programs import program_of

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")

program = partial(program_of, RECIPES)

TASK = "entities"


def document(text: str, *names: str) -> Document:
    """A text with names, each found once."""
    data = text.encode()
    return Document(
        data, {TASK: [Span(data.index(n.encode()), data.index(n.encode()) + len(n.encode()), "PER") for n in names]}
    )


def names(found: Document) -> list[str]:
    """The texts of the spans."""
    return [span.text for span in found.entities]


def test_clauses_end_at_commas_and_lines_and_cut_no_name() -> None:
    clauses = list(
        program("mixtures").clauses_of(
            [
                document(
                    "He met Smith , Jones and Sons , and left . Yes .\nÀ Lyon , non", "Smith , Jones and Sons", "Lyon"
                )
            ],
            task=TASK,
        )
    )
    assert [clause.text for clause in clauses] == [
        "He met Smith , Jones and Sons ,", "and left .", "Yes .\nÀ Lyon ,", "non"
    ]  # fmt: skip
    assert [names(clause) for clause in clauses] == [["Smith , Jones and Sons"], [], ["Lyon"], []]


@given(st.text("aé,.東 \n", max_size=40), st.lists(st.integers(0, 40), max_size=6))
@settings(deadline=None)
def test_clauses_lose_nothing_but_blanks_and_no_span(text: str, places: list[int]) -> None:
    mixtures = program("mixtures")
    offsets = sorted({len(text[:place].encode()) for place in places})
    spans = [Span(a, b, "X") for a, b in zip(offsets[::2], offsets[1::2], strict=False)]
    texts = {span: text.encode()[span.start : span.end].decode() for span in spans}
    spans = [span for span in spans if texts[span].strip() == texts[span]]
    clauses = list(mixtures.clauses_of([Document(text.encode(), {TASK: spans})], task=TASK))
    assert "".join("".join(clause.text for clause in clauses).split()) == "".join(text.split())
    found = [span.text for clause in clauses for span in clause.text_spans(TASK)]
    assert found == [texts[span] for span in spans]


def test_clauses_in_turn_score_those_of_one_language() -> None:
    own = [document("Ada sang ,", "Ada"), document("Émile , aussi", "Émile")]
    others = [document("Привет Анна !", "Анна")]
    mixture = program("mixtures").mix_clauses(own, others, task=TASK)
    assert mixture.document.text == "Ada sang , Привет Анна ! Émile , aussi"
    assert names(mixture.document) == ["Ada", "Émile"]
    assert [mixture.document.data[a:b].decode() for a, b in mixture.scored] == ["Ada sang ,", "Émile , aussi"]
    foreign = mixture.document.data.index("Анна".encode())
    assert not mixture.owns(Span(foreign, foreign + 8, "PER"))


def test_names_are_replaced_by_others_of_their_label_and_alike_within_a_text() -> None:
    mixtures = program("mixtures")
    original = Document(b"Ada and Bob and Ada in Rome", {TASK: [
        Span(0, 3, "PER"), Span(8, 11, "PER"), Span(16, 19, "PER"), Span(23, 27, "LOC")
    ]})  # fmt: skip
    others = {"PER": ["Zoë".encode(), "Łukasz".encode(), b"Ada"]}
    replaced = mixtures.replace_names(original, others, task=TASK, seed="1").document
    first, second, third, place = names(replaced)
    assert first == third in ("Zoë", "Łukasz")
    assert second.encode() in others["PER"]
    assert place == "Rome"
    assert replaced.text == f"{first} and {second} and {third} in Rome"
    assert mixtures.replace_names(original, others, task=TASK, seed="1").document == replaced


def test_only_the_parts_that_are_scored_count(tiny_parallel_package: Path, tiny_documents: list[Document]) -> None:
    mixing, mixtures = program("mixing"), program("mixtures")
    setting = mixing.Setting(TASK, "{}", (), 9, "all", tiny_parallel_package, "{}")
    tagger = bytespan.load(tiny_parallel_package, threads=1)
    alone = mixtures.mix_clauses(tiny_documents[:1], [], task=TASK)
    assert mixing.score(tagger, [alone], setting) == mixing.Counts(2, 2, 2)
    scored = mixtures.Mixture(Document(alone.document.data, {TASK: ()}), [])
    assert mixing.score(tagger, [scored], setting) == mixing.Counts(0, 0, 0)


def test_mixing_is_measured_once_told_of_and_drawn(
    tiny_parallel_package: Path, tiny_documents: list[Document], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixing = program("mixing")
    for name, number in (("de", 0), ("ru", 3)):
        with (tmp_path / f"{name}.jsonl").open("wb") as stream:
            write_documents([tiny_documents[number]] * 12, stream, format="jsonl")
    settings = {
        "entities": mixing.Setting(TASK, "{}.jsonl", ("de", "ru"), 12, "all", tiny_parallel_package, "only-{}"),
        "words": mixing.Setting("tokens", "{}.jsonl", ("de", "ru"), 12, "both", tiny_parallel_package, "words-{}"),
    }
    arguments = Namespace(package=None, runs=tmp_path, data=tmp_path, threads=1)
    places = {"results": tmp_path, "pictures": tmp_path, "settings": settings}
    before = mixing.answer(arguments, **places)
    assert "left out" in capsys.readouterr().err
    assert "Models of one language have not been measured yet." in before
    arguments.package = [("only-de", tiny_parallel_package)]
    assert "entities in de " in mixing.answer(arguments, **places)  # compared where there is something to compare
    arguments.package.append(("only-ru", tiny_parallel_package))
    section = mixing.answer(arguments, **places)
    assert "entities in de" not in section
    told = capsys.readouterr().err
    assert "only-de on ru, clauses of de" in told
    assert "both" not in told  # what was measured before is not measured again
    assert "one a language, either: another language" in section
    assert section == mixing.section(mixing.read_figures(tmp_path / mixing.FILE, settings), settings)
    assert (tmp_path / "mixing.png").read_bytes().startswith(b"\x89PNG")
    figures = mixing.read_figures(tmp_path / mixing.FILE, settings)
    assert figures["all", "entities", None, "de", None] > 80
    assert figures["both", "words", None, "ru", None] > 80
    single = {key[1:]: figure for key, figure in figures.items() if key[0] == "only-de"}
    assert single == {key: figures[("all", *key)] for key in single}  # they are one model


def test_a_package_is_named_with_its_place() -> None:
    mixing = program("mixing")
    assert mixing.named_package("conll-en=a=b") == ("conll-en", Path("a=b"))
    with pytest.raises(ArgumentTypeError, match="is not NAME=PATH"):
        mixing.named_package("conll-en")


def test_the_section_on_mixing_is_what_the_result_file_says() -> None:
    mixing = program("mixing")
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    figures = mixing.read_figures(RECIPES / "results" / "questions" / mixing.FILE)
    assert figures
    assert mixing.section(figures).rstrip("\n") in page, "run python recipes/questions.py mixing"
    assert (ROOT / "docs" / "questions" / "mixing.png").exists()
