"""Copies of texts with names of other languages in them."""

import json
import random
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from bytespan.config import read_recipe
from bytespan.corpora.reading import read_documents
from bytespan.errors import CorpusError
from bytespan.spans import Document, Span
from programs import program_of

RECIPES = Path(__file__).parent.parent / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")


@pytest.fixture(scope="module")
def swaps() -> ModuleType:
    return program_of(RECIPES, "swaps")


def test_names_that_a_column_set_apart_are_not_put_into_running_text(swaps: ModuleType) -> None:
    names = [b"Rome", b"St . Gallen", b"Coca - Cola", b"a b c d e f", b"New\nUlm", b"King's College"]
    spans, data = list[Span](), b""
    for name in names:
        spans.append(Span(len(data), len(data) + len(name), "LOC"))
        data += name + b" ; "
    assert swaps.names_in([Document(data, {"entities": spans})]) == {"LOC": [b"King's College", b"Rome"]}


def test_a_name_becomes_another_of_its_kind_and_a_person_may_have_a_common_word_for_a_first_name(
    swaps: ModuleType,
) -> None:
    pools = {"own": {"PER": [b"Ada Byron"], "LOC": [b"Bonn"]}, "other": {"PER": [b"Ivo"], "LOC": [b"Rom"]}}
    rng = random.Random(1)

    def drawn(kind: str, text: bytes) -> set[bytes]:
        return {swaps.other_name(pools, "own", ["Oder"], rng, kind, text) for _ in range(300)}

    assert drawn("LOC", b"Kiel") == {b"Kiel", b"Bonn", b"Rom"}
    assert drawn("PER", b"Max") == {b"Max", b"Ada Byron", b"Oder Byron", b"Oder Ada Byron", b"Ivo"}
    assert drawn("ORG", b"Nokia") == {b"Nokia"}


def test_some_organizations_are_institutions_told_by_hand(swaps: ModuleType) -> None:
    pools = {"own": {"ORG": [b"Nokia"], "institution": [b"Bank of Ada"]}, "other": {"ORG": [b"Fiat"]}}
    rng = random.Random(1)
    drawn = {swaps.other_name(pools, "own", [], rng, "ORG", b"Saab") for _ in range(300)}
    assert drawn == {b"Saab", b"Nokia", b"Fiat", b"Bank of Ada"}


def test_an_institution_may_leave_a_place_or_a_person_of_its_text_open(swaps: ModuleType) -> None:
    names = {"LOC": [b"Ulm", b"Rio de Janeiro"], "PER": [b"Ada Byron"], "institution": [b"{PER} Bank of {LOC}"]}
    rng = random.Random(1)
    drawn = {swaps.other_name({"own": names}, "own", [], rng, "institution", b"Saab") for _ in range(20)}
    assert drawn == {b"Ada Byron Bank of Ulm"}


def test_some_persons_and_places_become_institutions_where_the_names_were_found_by_a_model(swaps: ModuleType) -> None:
    document = Document(b"Ada sees Bo.", {"entities": [Span(0, 3, "PER"), Span(9, 11, "PER")]})
    names = {"PER": [b"Cy"], "institution": [b"Bank of Ada"]}
    rng = random.Random(1)

    def seen(own: str, pools: dict[str, dict[str, list[bytes]]]) -> set[tuple[bytes, str]]:
        raised = swaps.raised_in(own, pools)
        copies = [swaps.with_others(document, pools, own, ["Oder"], rng, raised) for _ in range(100)]
        spans = [(copy.data, span) for copy in copies for span in copy.spans["entities"]]
        return {(data[span.start : span.end], span.label) for data, span in spans}

    persons = {(b"Ada", "PER"), (b"Bo", "PER"), (b"Cy", "PER")}
    assert seen("xx", {"xx": names}) == persons | {(b"Bank of Ada", "ORG")}
    assert seen("en", {"en": names}) == persons
    assert seen("xx", {"xx": {**names, "institution": []}}) == persons
    place = Document(b"Ulm is far", {"entities": [Span(0, 3, "LOC")]})

    def labels(own: str) -> set[str]:
        pools = {own: {"LOC": [b"Rom"], **names}}
        raised = swaps.raised_in(own, pools)
        copies = [swaps.with_others(place, pools, own, ["Oder"], rng, raised) for _ in range(200)]
        return {copy.spans["entities"][0].label for copy in copies}

    assert [labels(own) for own in ("xx", "el", "zh")] == [{"LOC"}, {"LOC", "ORG"}, {"LOC"}]


@pytest.mark.parametrize(("own", "lengthened"), [("xx", {b"Oder Bo Li"}), ("en", set()), ("el", set())])
def test_some_persons_that_begin_a_sentence_have_another_first_name_before_theirs(
    swaps: ModuleType, monkeypatch: pytest.MonkeyPatch, own: str, lengthened: set[bytes]
) -> None:
    monkeypatch.setattr(swaps, "FRACTION", 0.0)  # no name becomes another
    document = Document(b"Bo Li sees Cy Ek.", {"entities": [Span(0, 5, "PER"), Span(11, 16, "PER")]})
    rng = random.Random(1)
    copies = [swaps.with_others(document, {own: {}}, own, ["Oder"], rng, {}) for _ in range(40)]
    found = [[(copy.data[s.start : s.end], s.label) for s in copy.spans["entities"]] for copy in copies]
    beginning, inside = (set(names) for names in zip(*found, strict=True))
    assert beginning == {(name, "PER") for name in {b"Bo Li"} | lengthened}
    assert inside == {(b"Cy Ek", "PER")}


def test_a_sentence_begins_with_its_line_or_behind_another(swaps: ModuleType) -> None:
    data = b"Ada. Bo! Cy\nDi, Ed (St. Fi)"
    beginnings = [data[at : at + 2] for at in range(len(data)) if swaps.begins_sentence(data, at)]
    assert beginnings == [b"Ad", b"Bo", b"Cy", b"Di", b"Fi"]


def test_names_in_other_letters_stay_among_themselves(swaps: ModuleType) -> None:
    pools = {"bg": {"PER": ["Иван Вазов".encode()]}, "el": {"PER": ["Σεφέρης".encode()]}, "en": {"PER": [b"Bo"]}}
    rng = random.Random(1)

    def drawn(own: str) -> set[bytes]:
        return {swaps.other_name(pools, own, ["Oder"], rng, "PER", b"Ada") for _ in range(200)}

    assert drawn("bg") == {b"Ada", "Иван Вазов".encode()}
    assert drawn("en") == {b"Ada", b"Bo"}


def test_every_institution_is_of_a_text_that_is_copied_and_none_is_in_the_sample(swaps: ModuleType) -> None:
    corpora = {path.stem for path in (RECIPES / "institutions").glob("*.txt")}
    assert corpora <= set(swaps.COPIED)
    sample = (RECIPES.parent / "examples" / "languages.txt").read_bytes()
    for corpus in corpora:
        names = swaps.institutions_of(corpus)
        assert len(names) == len(set(names)) > 10
        assert [name.decode() for name in names if name in sample] == []


def test_first_words_begin_sentences_often_and_are_no_names(swaps: ModuleType) -> None:
    words = [("Oder", "CCONJ"), ("Ulm", "PROPN"), ("ruht", "VERB"), ("!", "PUNCT"), ("Er", "PRON"), (".", "PUNCT")]
    data, spans = bytearray(), list[Span]()
    for word, label in 3 * [*words, *words[1:]]:
        spans.append(Span(len(data), len(data) + len(word), label))
        data += f"{word} ".encode()
    assert swaps.first_words([Document(bytes(data), {"tokens": spans})]) == {"Oder": 3}
    assert swaps.first_words([Document(bytes(data[:60]), {"tokens": spans[:15]})]) == {}


def test_words_of_other_languages_are_drawn_by_the_root_of_how_often_they_stand_there(swaps: ModuleType) -> None:
    words = {"de": Counter({"Oder": 4, "Und": 36}), "id": Counter({"Ada": 30}), "sv": Counter({"Und": 9, "Och": 9})}
    assert Counter(swaps.foreign_words(words, "sv_lines")) == {"Oder": 500, "Ada": 2000}
    assert Counter(swaps.foreign_words(words, "pt")) == {"Oder": 500, "Und": 2500, "Ada": 2000, "Och": 1000}


def test_made_up_names_begin_like_a_word_and_end_like_a_name(swaps: ModuleType) -> None:
    documents, rng = [Document(b"perahu 1234567 Jakarta kecil", {})], random.Random(1)
    drawn = set(swaps.made_up(documents, ["Suwarno", "Ali", "3Com"], rng))
    assert {"Perno", "Peraarno", "Kecno"} < drawn
    assert drawn == {a + b for a in ("Pe", "Per", "Pera", "Ke", "Kec", "Keci") for b in ("no", "rno", "arno")}
    assert swaps.made_up(documents, ["3Com"], rng) == swaps.made_up([], ["Suwarno"], rng) == []


def test_first_names_are_those_of_persons_of_several_words(swaps: ModuleType) -> None:
    assert swaps.first_names([b"Suwarno Hadi", b"Madonna", b"Ada King Byron"]) == ["Suwarno", "Ada"]


def test_some_organizations_have_a_made_up_word_for_a_name(swaps: ModuleType) -> None:
    pools = {"own": {"ORG": [b"Nokia"], "company": [b"Fornia"]}, "other": {"ORG": [b"Fiat"], "company": [b"Wasgo"]}}
    rng = random.Random(1)
    drawn = {swaps.other_name(pools, "own", [], rng, "ORG", b"Saab") for _ in range(300)}
    assert drawn == {b"Saab", b"Nokia", b"Fiat", b"Fornia"}


def test_passages_are_read_with_the_names_marked_in_them(swaps: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "xx.txt"
    path.write_text("[Ådne](PER) sees [Rio de Janeiro](LOC), ([Ö](ORG)).\nNobody (there).\n", encoding="utf-8")
    names, nothing = swaps.read_written(path)
    assert names.data.decode() == "Ådne sees Rio de Janeiro, (Ö)."
    spans = names.spans["entities"]
    assert [(names.data[span.start : span.end].decode(), span.label) for span in spans] == [
        ("Ådne", "PER"),
        ("Rio de Janeiro", "LOC"),
        ("Ö", "ORG"),
    ]
    assert (nothing.data, list(nothing.spans["entities"])) == (b"Nobody (there).", [])


@pytest.mark.parametrize("line", ["[Ulm](MISC)", "[Ulm] (LOC)", "Ulm](LOC)", "[[Ulm](LOC)", "[](LOC)", "[a](LOC)[b"])
def test_a_passage_with_other_brackets_is_refused_with_its_line(swaps: ModuleType, tmp_path: Path, line: str) -> None:
    path = tmp_path / "xx.txt"
    path.write_text(f"Good.\nIn {line}.\n")
    with pytest.raises(CorpusError, match=r"xx\.txt:2: names are written \[name\]\(KIND\)"):
        swaps.read_written(path)


def test_every_passage_is_another_and_has_no_name_of_the_sample(swaps: ModuleType) -> None:
    assert {path.stem for path in (RECIPES / "written").glob("*.txt")} == set(swaps.WRITTEN) <= set(swaps.SILVER)
    sample = list(read_documents(RECIPES.parent / "examples" / "languages-names.jsonl"))
    sampled = {document.data[span.start : span.end] for document in sample for span in document.spans["entities"]}
    for language in swaps.WRITTEN:
        documents = swaps.read_written(RECIPES / "written" / f"{language}.txt")
        assert len({document.data for document in documents}) == len(documents) > 60
        names = {document.data[span.start : span.end] for document in documents for span in document.spans["entities"]}
        assert [name.decode() for name in sorted(names & sampled)] == []


def test_every_copy_is_a_corpus_of_the_recipe(swaps: ModuleType) -> None:
    files = [name for corpus in read_recipe(RECIPES / "silver.toml").corpora for name in corpus.train]
    names = [*swaps.COPIED, *(f"{name}_written" for name in swaps.WRITTEN)]
    assert [name for name in files if name.startswith("swaps/")] == [f"swaps/{name}.jsonl" for name in names]


def test_copies_are_written_and_the_same_every_time(
    swaps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, place in (("xx", "Rome"), ("af", "Bonn")):
        row = {"text": f"In {place}.", "entities": [{"start": 3, "end": 7, "label": "LOC"}]}
        (tmp_path / f"{name}.jsonl").write_text(40 * f"{json.dumps(row)}\n")
    word = "1\tOder\t_\tCCONJ" + "\t_" * 6 + "\n2\t.\t_\tPUNCT" + "\t_" * 6 + "\n\n"
    (tmp_path / "pos" / "xx").mkdir(parents=True)
    (tmp_path / "pos" / "xx" / "train.conllu").write_text(word * 20)
    monkeypatch.setattr(swaps, "GOLD", {"xx": "xx.jsonl"})
    monkeypatch.setattr(swaps, "SILVER", ("af",))
    monkeypatch.setattr(swaps, "APART", ())
    monkeypatch.setattr(swaps, "COPIED", ("xx",))
    monkeypatch.setattr(swaps, "WORDS", ("xx",))
    monkeypatch.setattr(swaps, "WRITTEN", ("af",))
    out = tmp_path / "out"
    arguments = ["--data", str(tmp_path), "--silver", str(tmp_path), "--output", str(out)]
    monkeypatch.setattr(sys, "argv", ["swaps.py", *arguments])
    swaps.main()
    before = (out / "xx.jsonl").read_bytes()
    texts = {document.data for document in read_documents(out / "xx.jsonl")}
    assert {b"In Rome."} < texts  # names of passages are put in, too
    written = list(read_documents(out / "af_written.jsonl"))
    assert len(written) == swaps.WRITTEN_COPIES * len(swaps.read_written(RECIPES / "written" / "af.txt"))
    swaps.main()
    assert (out / "xx.jsonl").read_bytes() == before
    (tmp_path / "af.jsonl").unlink()
    with pytest.raises(SystemExit, match=r"^swaps: .*af\.jsonl: no such file"):
        swaps.main()
