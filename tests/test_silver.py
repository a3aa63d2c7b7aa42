"""Names in treebanks whose names nobody has annotated."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bytespan.config import ModelConfig
from bytespan.corpora.reading import read_documents
from bytespan.lattice import TagSets
from bytespan.spans import Document, Span
from bytespan.units import UnitBatch
from programs import program_of

RECIPES = Path(__file__).parent.parent / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")


@pytest.fixture(scope="module")
def silver() -> ModuleType:
    return program_of(RECIPES, "silver")


def told(silver: ModuleType, kinds: dict[str, str] | None = None, **changes: Any) -> Any:
    settings = {
        "rest": "open",
        "tags": frozenset({"PROPN"}),
        "places_as": None,
        "given": frozenset(),
        "silent_on": frozenset(),
    }
    return silver.Told(kinds or {}, **settings | changes)


def treebank(text: str) -> Document:
    """A document of words with their tags, as `Rome/PROPN sleeps/VERB ./PUNCT`."""
    data, tokens = bytearray(), list[Span]()
    for word in text.split():
        form, _, tag = word.rpartition("/")
        data += b" " if data and form != "." else b""
        tokens.append(Span(len(data), len(data) + len(form.encode()), tag))
        data += form.encode()
    return Document(bytes(data), {"tokens": tokens})


def texts(document: Document, spans: list[Span]) -> list[tuple[str, str]]:
    return [(document.data[span.start : span.end].decode(), span.label) for span in spans]


def test_names_are_of_the_kind_that_is_told(silver: ModuleType) -> None:
    document = treebank("in/ADP Rome/PROPN Ada/PROPN Lovelace/PROPN met/VERB Moon/PROPN in/ADP May/PROPN ./PUNCT")
    kinds = {"Rome Ada Lovelace": "PER", "May": "O", "Moon": "LOC"}
    found = silver.told_names(document, told(silver, kinds))
    assert texts(document, found.spans) == [("Rome Ada Lovelace", "PER"), ("Moon", "LOC")]
    assert found.left_open == []
    found = silver.told_names(document, told(silver, {"May": "open"}, rest="ORG"))
    assert texts(document, found.spans) == [("Rome Ada Lovelace", "ORG"), ("Moon", "ORG")]
    assert [document.data[start:end] for start, end in found.left_open] == [b"May"]


def test_a_capital_adjective_before_a_place_is_part_of_it_but_where_a_sentence_begins(silver: ModuleType) -> None:
    kinds = {"York": "LOC", "Ada": "PER"}
    for text, name in (
        ("in/ADP New/ADJ York/PROPN", "New York"),
        ("in/ADP big/ADJ York/PROPN", "York"),
        ("York/PROPN", "York"),
        ("Old/ADJ ./PUNCT York/PROPN", "York"),
        ("with/ADP Young/ADJ Ada/PROPN", "Ada"),
    ):
        document = treebank(text)
        assert [name for name, _ in texts(document, silver.told_names(document, told(silver, kinds)).spans)] == [name]


def test_first_names_make_persons_and_places_may_have_another_tag(silver: ModuleType) -> None:
    document = treebank("Ali/X Hassan/X saw/VERB Cairo/NOUN and/CCONJ Ali/X and/CCONJ house/NOUN")
    settings = {"tags": frozenset({"X"}), "places_as": "NOUN", "given": frozenset({"Ali"})}
    found = silver.told_names(document, told(silver, {"Cairo": "LOC", "house": "O"}, **settings))
    assert texts(document, found.spans) == [("Ali Hassan", "PER"), ("Cairo", "LOC")]
    assert [document.data[start:end] for start, end in found.left_open] == [b"Ali"]


def test_sentences_with_something_left_open_are_left_out(silver: ModuleType) -> None:
    text = "Rome/PROPN ./PUNCT Moon/PROPN ./PUNCT Bonn/PROPN ./PUNCT Ulm/PROPN ./PUNCT"
    document = treebank(text)
    assert [document.data[a:b] for a, b in silver.sentences_of(document)] == [b"Rome.", b"Moon.", b"Bonn.", b"Ulm."]
    names = silver.told_names(document, told(silver, {"Moon": "open"}, rest="LOC"))
    pieces = list(silver.kept_text(names))
    assert [piece.data for piece in pieces] == [b"Rome.", b"Bonn. Ulm."]
    assert [texts(piece, piece.spans["entities"]) for piece in pieces] == [
        [("Rome", "LOC")],
        [("Bonn", "LOC"), ("Ulm", "LOC")],
    ]


def test_a_first_or_last_word_makes_an_institution_of_what_stands_beside_it(silver: ModuleType) -> None:
    settings = {"heads": frozenset({"University"}), "joins": frozenset({"of", "the"}), "tails": ("yliopist",)}
    for text, *found in (
        ("the/DET University/NOUN of/ADP Old/ADJ Rome/PROPN sleeps/VERB", ("University of Old Rome", "ORG")),
        (
            "University/NOUN of/ADP the/DET Rome/PROPN in/ADP Bonn/PROPN",
            ("University of the Rome", "ORG"),
            ("Bonn", "LOC"),
        ),
        ("University/NOUN of/ADP the/DET of/ADP Rome/PROPN", ("Rome", "LOC")),
        ("University/NOUN ./PUNCT Rome/PROPN", ("Rome", "LOC")),
        ("In/ADP Rome/PROPN yliopistossa/NOUN", ("Rome yliopistossa", "ORG")),
        ("yliopisto/NOUN of/ADP Rome/PROPN", ("Rome", "LOC")),
        ("big/ADJ yliopisto/NOUN",),
    ):
        document, rules = treebank(text), told(silver, rest="LOC", **settings)
        names = silver.with_institutions(silver.told_names(document, rules), rules)
        assert texts(document, names.spans) == found


def test_an_institution_ends_with_its_line(silver: ModuleType) -> None:
    document = treebank("University/NOUN of/ADP Rome/PROPN Ada/PROPN sleeps/VERB")
    document = Document(document.data.replace(b" Ada", b"\nAda"), document.spans)
    rules = told(silver, heads=frozenset({"University"}), joins=frozenset({"of"}))
    names = silver.with_institutions(silver.told_names(document, rules), rules)
    assert texts(document, names.spans) == [("University of Rome", "ORG")]


def test_what_was_left_open_within_an_institution_is_so_no_more(silver: ModuleType) -> None:
    document = treebank("Ada/PROPN left/VERB University/NOUN Rome/PROPN")
    rules = told(silver, heads=frozenset({"University"}))
    names = silver.with_institutions(silver.told_names(document, rules), rules)
    assert [document.data[start:end] for start, end in names.left_open] == [b"Ada"]


class Guesser:
    """A model that goes by a word's first letter: R is surely a place, S nearly one, P a person, or a place before a
    comma, and anything else no name."""

    config = ModelConfig(decoder="parallel", segment_length=64, table_rows=97)
    tags = TagSets({"tokens": ("NOUN",), "entities": ("LOC", "ORG", "PER")})
    profiles = None
    ngrams = None

    def score(self, batch: UnitBatch) -> np.ndarray:
        scores = np.zeros((*batch.gaps.shape, self.tags.size), np.float32)
        entities = scores[..., self.tags.columns["entities"]]
        first = batch.symbols[..., 0]
        entities[..., 0] = 4.0
        entities[first == ord("R"), 1] = 9.0
        entities[first == ord("S"), 1] = 3.5
        entities[first == ord("P"), 5] = 9.0
        entities[first == ord("Q"), 1] = entities[first == ord("Q"), 5] = 9.0
        return scores


def test_a_model_finds_names_where_proper_nouns_stand(silver: ModuleType) -> None:
    """What is hardly no name is one at a proper noun, and what hardly is one is none anywhere else."""
    document = treebank(
        "Riga/PROPN and/CCONJ Rain/NOUN saw/VERB Syra/PROPN and/CCONJ Sand/NOUN or/CCONJ Pia/PROPN ./PUNCT"
    )
    (found,) = silver.found_names([document], told(silver, rest="found"), Guesser())
    assert texts(document, found.spans) == [("Riga", "LOC"), ("Syra", "LOC"), ("Pia", "PER")]
    assert found.left_open == []


def test_what_is_told_goes_before_what_is_found_and_what_stays_unclear_is_left_open(silver: ModuleType) -> None:
    document = treebank("Riga/PROPN with/ADP Quin/PROPN and/CCONJ Pia/PROPN and/CCONJ Rom/PROPN ./PUNCT")
    (found,) = silver.found_names([document], told(silver, {"Pia": "ORG", "Rom": "O"}, rest="found"), Guesser())
    assert texts(document, found.spans) == [("Riga", "LOC"), ("Pia", "ORG")]
    assert [document.data[start:end] for start, end in found.left_open] == [b"Quin"]


def test_letters_and_marks_are_composed_and_spans_move_with_them(silver: ModuleType) -> None:
    data = "Ada\u0300 n\u0300 lo\u0323\u0301 O\u0323yo\u0323\u0301".encode()
    document = Document(
        data,
        {"entities": [Span(0, 5, "PER"), Span(len(data) - len("O\u0323yo\u0323\u0301".encode()), len(data), "LOC")]},
    )
    found = silver.composed(document)
    assert found.data.decode() == "Ad\u00e0 \u01f9 l\u1ecd\u0301 \u1eccy\u1ecd\u0301"
    assert texts(found, list(found.spans["entities"])) == [("Ad\u00e0", "PER"), ("\u1eccy\u1ecd\u0301", "LOC")]


def test_arabic_is_joined_as_people_write_it_and_spans_move_along(silver: ModuleType) -> None:
    text = "و سافر الى ه ل القاهرة و ل المدرسة من مدرسة ه ، ف هم في ل ندن ب 20 ها"
    data = text.encode()
    starts = [len(text[: text.index(name)].encode()) for name in ("القاهرة", "ندن")]
    spans = [Span(start, start + length, "LOC") for start, length in zip(starts, (14, 6), strict=True)]
    found = silver.joined(Document(data, {"entities": spans}))
    assert found.data.decode() == "وسافر اليه ل القاهرة وللمدرسة من مدرسته ، فهم في لندن ب 20 ها"
    assert texts(found, list(found.spans["entities"])) == [("القاهرة", "LOC"), ("ندن", "LOC")]


def test_every_treebank_that_is_told_of_is_a_corpus_and_the_other_way_round(silver: ModuleType) -> None:
    from bytespan.config import read_recipe

    files = sorted((RECIPES / "names").glob("*.toml"))
    names = {f"silver/{path.stem}.jsonl" for path in files} | {
        f"silver/{name}.jsonl" for name in (*silver.TAKEN_OVER, "ar_joined")
    }
    corpora = read_recipe(RECIPES / "silver.toml").corpora
    assert {name for corpus in corpora for name in corpus.train if name.startswith("silver/")} == names
    for path in files:
        found = silver.read_told(path)
        assert found.rest in {*silver.KINDS, "found", "open"}
        assert set(found.kinds.values()) <= {*silver.KINDS, "O", "open"}
        assert all(name == " ".join(name.split()) for name in found.kinds)


def test_files_are_written_from_training_text(
    silver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes, data = tmp_path / "recipes", tmp_path / "data"
    (recipes / "names").mkdir(parents=True)
    (recipes / "names" / "xx.toml").write_text('rest = "PER"\nLOC = """\nRome;\nNew Ulm"""\nsilent_on = "ORG"\n')
    (data / "pos" / "xx").mkdir(parents=True)
    rows = ["Ada\t_\tPROPN", "saw\t_\tVERB", "Rome\t_\tPROPN"]
    first, second = (
        "# newdoc\n" + "".join(f"{number}\t{row}" + "\t_" * 6 + "\n" for number, row in enumerate(part, 1))
        for part in (rows, rows[1:2])  # of the second document nothing is written: it may tag no names
    )
    (data / "pos" / "xx" / "train.conllu").write_text(f"{first}\n{second}\n")
    (data / "ner" / "masakhaner2" / "yor").mkdir(parents=True)
    (data / "ner" / "masakhaner2" / "yor" / "train.conll").write_text(
        "Ada\u0300 B-PER\nlana B-DATE\n\n", encoding="utf-8"
    )
    monkeypatch.setattr(silver, "RECIPES", recipes)
    monkeypatch.setattr(silver, "TAKEN_OVER", ("yor",))
    monkeypatch.setattr(silver, "open_parallel", lambda *_, **__: Guesser())
    monkeypatch.setattr(sys, "argv", ["silver.py", "--data", str(data), "--output", str(tmp_path / "out")])
    silver.main()
    (document,) = read_documents(tmp_path / "out" / "xx.jsonl")
    assert texts(document, list(document.spans["entities"])) == [("Ada", "PER"), ("Rome", "LOC")]
    documents = list(read_documents(tmp_path / "out" / "yor.jsonl"))
    assert [texts(item, list(item.spans["entities"])) for item in documents] == [
        [("Ada\u0300", "PER")],
        [("Ad\u00e0", "PER")],
    ]
    assert "xx.jsonl: 12 bytes, LOC 1, ORG 0, PER 1" in capsys.readouterr().err
    (data / "pos" / "xx" / "train.conllu").unlink()
    with pytest.raises(SystemExit, match=r"^silver: .*train\.conllu: no such file"):
        silver.main()
