"""Picking the format of any file, and reading it in bounded memory."""

import gzip
import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bytespan.corpora.lines import Skipped
from bytespan.corpora.reading import FORMATS, guess_format, read_documents
from bytespan.errors import ConfigError, CorpusError

SAMPLES = Path(__file__).parents[1] / "samples"
JSON = '{"text": "In Rome", "label": [[3, 7, "LOC"]]}\n'
COLUMNS = "In O\nRome B-LOC\n\n"
CONLLU = "1\tRome\t_\tPROPN\t_\t_\t_\t_\t_\t_\n\n"


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.conllu", "", "conllu"),
        ("a.CONLLU.gz", "", "conllu"),
        ("a.conll", "", "conll"),
        ("a.iob2", "", "conll"),
        ("a.jsonl", "", "jsonl"),
        ("a.ndjson", "", "jsonl"),
        ("a.ann", "", "brat"),
        ("a.dat", JSON, "jsonl"),
        ("a", '["In Rome", {}]\n', "jsonl"),
        ("a.json", '\ufeff{ "text": "a"}\n', "jsonl"),
        ("a.dat", "# newdoc\n# text = Rome\n" + CONLLU, "conllu"),
        ("a.tsv", CONLLU.replace("\n", "\r\n"), "conllu"),
        ("train.txt", COLUMNS, "conll"),
        ("eng.testa", "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\n", "conll"),
        ("a.tsv", "1\tRome\tO\n2\tis\tO\n", "conll"),
        ("a.txt", "Plain text, in lines.\n", "text"),
    ],
)
def test_format_is_told_by_suffix_and_else_by_the_first_lines(
    tmp_path: Path, name: str, content: str, format: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    assert guess_format(path) == format
    if content:
        path.write_bytes(gzip.compress(path.read_bytes()))
        assert guess_format(path) == format


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.jsonl", "anything", "jsonl"),
        ("a.txt", JSON, "jsonl"),
        ("a.txt", '["In Rome"]\n', "text"),
        ("a.conllu", CONLLU, "text"),
        ("a.md", "# Rome\n", "text"),
    ],
)
def test_what_is_to_be_tagged_is_json_lines_or_plain_text(tmp_path: Path, name: str, content: str, format: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert guess_format(path, annotated=False) == format


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("words.conllu", 2),
        ("names.iob1.conll", 2),
        ("names.bioes.conll", 2),
        ("ours.jsonl", 10),
        ("doccano.jsonl", 10),
        ("prodigy.jsonl", 10),
        ("spacy.jsonl", 10),
        ("brat", 10),
        ("brat/de.ann", 1),
        ("brat/de.txt", 1),
    ],
)
def test_every_sample_is_read_without_naming_its_format(path: str, count: int) -> None:
    assert len(list(read_documents(SAMPLES / path))) == count


@pytest.mark.parametrize(("name", "sentence"), [("a.conll", COLUMNS), ("a.conllu", CONLLU), ("a.jsonl", JSON)])
@pytest.mark.parametrize("marked", [False, True])
def test_only_the_first_sentences_are_read_if_so_wanted(tmp_path: Path, name: str, sentence: str, marked: bool) -> None:
    mark = {"a.conll": "-DOCSTART- O\n\n", "a.conllu": "# newdoc\n", "a.jsonl": ""}[name] if marked else ""
    (tmp_path / name).write_text((mark + 3 * sentence) * 2 + 30 * sentence, encoding="utf-8")
    for count in (1, 3, 4, 25, 36, 99):
        documents = list(read_documents(tmp_path / name, sentences=count))
        assert sum(document.data.count(b"Rome") for document in documents) == min(count, 36)
    assert sum(document.data.count(b"Rome") for document in read_documents(tmp_path / name)) == 36


def test_columns_and_encoding_and_on_error_reach_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes("B-LOC Köln X\n\nbroken\n".encode("latin-1"))
    skipped = Skipped()
    (document,) = read_documents(path, encoding="latin-1", token_column=1, tag_column=0, pos_column=2, on_error=skipped)
    assert (document.entities[0].text, document.tokens[0].label, skipped.count) == ("Köln", "X", 1)


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        ("none.conll", None, {}, "none.conll: no such file"),
        ("none.what", None, {}, "none.what: no such file"),
        ("none.jsonl", None, {"format": "conllu"}, "none.jsonl: no such file"),
        ("a.what", "some words\n", {}, "a.what: the format can be told neither from the name nor from the first lines"),
    ],
)
def test_a_path_of_no_use_is_named_at_once(
    tmp_path: Path, name: str, content: str | None, settings: dict[str, Any], message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_documents(tmp_path / name, **settings)


def test_a_directory_without_brat_files_is_named_at_once(tmp_path: Path) -> None:
    message = f"{tmp_path}: is a directory without brat .ann files: name a file in it"
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_documents(tmp_path)
    with pytest.raises(CorpusError, match="is a directory"):
        read_documents(tmp_path, format="conll")
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_documents(tmp_path, format="brat")


def test_an_unknown_format_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown format 'conlu': did you mean 'conllu'"):
        read_documents("-", format="conlu")
    with pytest.raises(ConfigError, match="unknown format 'xyz': known are conllu, conll"):
        read_documents("-", format="xyz")


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"brat"}))
@pytest.mark.parametrize("zipped", [False, True])
def test_an_empty_file_is_told_to_be_empty(tmp_path: Path, format: str, zipped: bool) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(gzip.compress(b"") if zipped else b"")
    with pytest.raises(CorpusError, match=r"file\.txt: the file is empty"):
        list(read_documents(path, format=format))


@pytest.mark.parametrize(
    ("format", "content"), [("conllu", "# newdoc\n"), ("conll", "-DOCSTART- O\n\n"), ("jsonl", "\n\n")]
)
def test_a_file_without_documents_is_told_so(tmp_path: Path, format: str, content: str) -> None:
    path = tmp_path / "file.txt"
    path.write_text(content)
    with pytest.raises(CorpusError, match=rf"file\.txt: holds no document that could be read as {format}"):
        list(read_documents(path, format=format))


def test_cut_gzip_is_named_whether_or_not_the_format_is(tmp_path: Path) -> None:
    for name in ("a.conll.gz", "a.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(COLUMNS.encode() * 100)[:-12])
        with pytest.raises(CorpusError, match=r"gz:?\d*: the gzip data is damaged or cut short"):
            list(read_documents(path))


@pytest.mark.parametrize(("content", "count"), [(JSON * 3, 3), (COLUMNS, 1), (CONLLU, 1)])
@pytest.mark.parametrize("zipped", [False, True])
def test_standard_input_is_read_whatever_its_format(
    monkeypatch: pytest.MonkeyPatch, content: str, count: int, zipped: bool
) -> None:
    data = gzip.compress(content.encode()) if zipped else content.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert len(list(read_documents("-"))) == count


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_read_once_and_its_format_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(CorpusError, match="pipe: is a pipe, whose format cannot be told before it is read"):
        read_documents(path)
    for content, format in ((JSON, "jsonl"), (COLUMNS, "conll"), (CONLLU, "conllu")):
        writer = threading.Thread(target=path.write_text, args=[content])
        writer.start()
        assert len(list(read_documents(path, format=format))) == 1
        writer.join()


def test_errors_of_standard_input_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a O\nb PER\n")))
    with pytest.raises(CorpusError, match=r"^standard input:2: tag 'PER'"):
        list(read_documents("-", format="conll"))


def test_lines_of_a_pipe_are_handed_on_as_they_come() -> None:
    code = (
        "from bytespan.corpora.reading import read_documents\nfor d in read_documents('-'): print(d.text, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        for text in ("one", "two"):
            run.stdin.write(f'{{"text": "{text}"}}\n')
            run.stdin.flush()
            assert run.stdout.readline() == f"{text}\n"
        run.stdin.close()
        assert run.wait() == 0


@pytest.mark.parametrize("format", ["jsonl", "conll", "conllu", "text"])
def test_a_line_of_fifty_megabytes_is_read(tmp_path: Path, format: str) -> None:
    path, size = tmp_path / "long", 50_000_000
    word = b"x" * size
    path.write_bytes(
        {
            "jsonl": b'{"text": "' + word + b'", "entities": [[1, 2, "X"]]}\n',
            "conll": word + b" B-X\n",
            "conllu": b"1\t" + word + b"\t_\tX\t_\t_\t_\t_\t_\t_\n\n",
            "text": word,
        }[format]
    )
    (document,) = read_documents(path, format=format)
    assert len(document.data) == size


def test_memory_stays_far_below_the_size_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text(JSON * 100_000)  # as documents all at once, these take some 80 MB
    code = (
        "import resource, sys\nfrom bytespan.corpora.reading import read_documents\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = sum(1 for _ in read_documents(sys.argv[1]))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    count, grown = map(int, run.stdout.split())
    assert count == 100_000
    assert grown < 10_000 * (1024 if sys.platform == "darwin" else 1)
