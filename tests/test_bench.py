"""The programs that measure, on next to nothing, and the page that they make."""

import json
import subprocess
import sys
from functools import partial
from itertools import groupby
from pathlib import Path

import pytest

from bytespan.config import ModelConfig
from programs import program_of

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "bench"
TEXTS = ["Angela Merkel besuchte Paris .", "no names here", "", "a b c"]

pytestmark = pytest.mark.skipif(not BENCH.is_dir(), reason="bench is in the repository only")


program = partial(program_of, BENCH)


PEER = '''"""A peer that takes every word for a noun."""

import json
import os
import sys


def load(model):
    return model, "words"


def tag_many(model, task):
    def run(texts):
        for text in texts:
            ends = [i for i, letter in enumerate(text + " ") if letter == " "]
            yield [(0, end, str(os.getpid())) for end in ends], []

    return run


if __name__ == "__main__":
    print(json.dumps({"id": 0, "tokens": [], "entities": []}))
'''


@pytest.fixture
def peers(tmp_path: Path) -> Path:
    """A folder with one peer in `programs`, its model in `models`, and a text."""
    for name in ("programs", "models/crf-pos-en"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "programs" / "crf_peer.py").write_text(PEER, encoding="utf-8")
    (tmp_path / "models" / "crf-pos-en" / "model.crfsuite").write_bytes(b"abc")
    (tmp_path / "text.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return tmp_path


def test_the_page_of_performance_is_what_the_result_files_say() -> None:
    page, machine = program("page"), program("machine")
    text = page.page({name: machine.read(name) for name in page.PARTS})
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == text, "run python bench/page.py"
    assert "None" not in text
    assert "nan" not in text
    tables = [list(lines) for is_row, lines in groupby(text.split("\n"), lambda line: line.startswith("|")) if is_row]
    assert all(len({line.count("|") for line in rows}) == 1 for rows in tables)
    pictures = [line[line.index("(") + 1 : -1] for line in text.split("\n") if line.startswith("![")]
    assert [name for name in pictures if not (ROOT / "docs" / name).exists()] == []


def test_what_was_not_measured_says_how_it_is() -> None:
    page = program("page")
    text = page.page({})
    for name in ("compare", "growth", "floors", "training_speed"):
        assert f"not measured yet: `python bench/{name}.py`" in text
    assert page.figure(None) == page.DASH


def test_multiplications_of_a_unit_are_those_of_the_weights_that_it_meets() -> None:
    config = ModelConfig(decoder="parallel", layers=2, units=10, unit_width=6)
    first, second = 2 * 4 * 10 * (6 + 10), 2 * 4 * 10 * (40 + 10)
    assert program("floors").multiplications(config, 7) == first + second + 20 * 7


def test_figures_have_three_digits_that_count() -> None:
    figures = {0.0123: "0.012", 0.4: "0.4", 3.14159: "3.14", 27.25: "27.2", 123.4: "123", 94_712.0: "94,700"}
    assert {value: program("page").figure(value) for value in figures} == figures


def test_ratios_are_to_the_fastest_of_ours_on_as_many_cores() -> None:
    page = program("page")
    rows = [
        {"name": f"{name}, {cores}", "family": name, "does": "words", "cores": cores, "seconds": seconds, "peak_mb": 9}
        for name, cores, seconds in (
            ("bytespan int8", 1, [1.0, 9.0, 2.0]), ("bytespan int8", 2, [1.0]), ("slow", 1, [8.0]), ("slow", 2, [5.0]),
        )
    ]  # fmt: skip
    result = {"text": {"bytes": 4000, "tokens": 1000}, "systems": rows}
    lines = [line.split(" | ") for line in page.speed_table(result)[2:-1]]
    assert [line[4] for line in lines] == ["500", "1,000", "125", "200"]
    assert [line[5] for line in lines] == ["1", "1", "4", "5"]
    assert page.verdicts(result)[1] == "That is 5 times as fast as slow, 2, its best setting, which finds words."


def test_growth_is_counted_without_the_start() -> None:
    page = program("page")
    lengths = {
        "0 lines": {"bytes": 0, "kind": "lines", "seconds": 0.5, "peak_mb": 90.0},
        "1000000 lines": {"bytes": 1_000_000, "kind": "lines", "seconds": 2.5, "peak_mb": 100.0},
        "10000000 lines": {"bytes": 10_000_000, "kind": "lines", "seconds": 22.5, "peak_mb": 110.0},
    }
    lines = page.length({"length": {name: {**row, "first_output_s": 0.6} for name, row in lengths.items()}})
    said = "A byte of 10 MB costs 10% more than a byte of 1 MB (lines); no text took more than 110 MB of memory."
    assert said in lines
    assert page.steady_rate({"length": lengths}, lengths["0 lines"] | {"bytes": 1000, "seconds": 0.55}) is None
    assert "| 1 MB | lines | 2.5 | 500 | 0.6 | 100 |" in lines


def test_a_gigabyte_is_compared_with_megabytes_around_it() -> None:
    page = program("page")

    def row(cpu_s: float) -> dict[str, float]:
        return {"cpu_s": cpu_s, "seconds": 2 * cpu_s, "first_output_s": 0.5, "peak_mb": 140.0}

    machine = {"date": "", "commit": "", "processor": "", "cores": 2, "memory_gb": 1, "system": "", "python": ""}
    result = {
        "machine": machine | {"load": 0}, "kind": "2 workers", "bytes": 1_000_000_000, "small_bytes": 1_000_000,
        "letter": [row(0.5), row(0.5)], "small": [row(2.5), row(4.5)], "large": row(3300.5),
    }  # fmt: skip
    text = "\n".join(page.constancy(result))
    assert "1 GB (2 workers) for one call of `bytespan tag --format jsonl`, and 2 times 1 MB, half" in text
    assert "| processor seconds | 2 | 4 | 3.3 | 10 |" in text
    assert "| seconds that pass | 4 | 8 | 6.6 | 10 |" in text
    assert "not measured yet: `python bench/constancy.py`" in "\n".join(page.constancy(None))


def test_a_long_text_is_measured_between_short_ones(
    tiny_parallel_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--model", str(tiny_parallel_package)]
    monkeypatch.setattr(program("constancy"), "SMALL", 20)
    rows = program("constancy").measure([b"one two\n"], options, size=50, one_line=True, runs=1)
    assert {name: len(members) for name, members in rows.items()} == {"letter": 2, "small": 2, "large": 4}
    assert all(row["cpu_s"] > 0 for row in [*rows["letter"], *rows["small"], rows["large"]])


def test_texts_are_taken_from_files_in_turn_up_to_a_size(tmp_path: Path) -> None:
    texts = program("texts")
    for name, lines in (("a.txt", "one\ntwo\nthree\n"), ("b.txt", "eins\nzwei\n")):
        (tmp_path / name).write_text(lines, encoding="utf-8")
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert texts.read_texts(files, size=1000) == ["one", "eins", "two", "zwei", "three"]
    assert texts.read_texts(files, size=8) == ["one", "eins", "two"]
    assert texts.count_tokens(["It's 5,000 km.", "日本 — ok"]) == 8 + 3
    assert texts.count_bytes(["é", "a"]) == 3


def test_a_stream_is_as_long_as_was_asked_for_and_on_one_line_if_so() -> None:
    repeated = program("growth").repeated
    assert b"".join(repeated([b"ab\n", b"c\n"], size=8, one_line=False)) == b"ab\nc\nab\n"
    assert b"".join(repeated([b"ab\n", b"c\n"], size=7, one_line=True)) == b"ab c ab"


def test_a_stream_through_a_process_is_timed_and_weighed(tiny_parallel_package: Path) -> None:
    text = [f"{line}\n".encode() for line in TEXTS]
    row = program("growth").stream(["--model", str(tiny_parallel_package)], text)
    assert 0 < row["first_output_s"] <= row["seconds"]
    assert 20 < row["peak_mb"] < 1000


def test_a_worker_tags_again_and_again_and_counts_what_it_finds(tiny_parallel_package: Path, tmp_path: Path) -> None:
    program("texts").write_texts(TEXTS, tmp_path / "texts.jsonl")
    call = [sys.executable, BENCH / "worker.py", "pass", "bytespan", tiny_parallel_package, tmp_path / "texts.jsonl"]
    ended = subprocess.run(call, input="1\n\n", capture_output=True, check=True, text=True)
    ready, first, whole = map(json.loads, ended.stdout.splitlines())
    assert ready == {"ready": True}
    assert (first["words"], first["entities"]) == (5, 2)
    assert whole["words"] >= 8
    assert first["seconds"] > 0
    assert 20 < whole["peak_mb"] < 1000


def test_a_pool_gives_the_spans_of_one_process(peers: Path) -> None:
    texts = [" ".join("a" * (i % 7)) for i in range(50)]
    program("texts").write_texts(texts, peers / "texts.jsonl")
    environment = program("systems").peer_environment(program("systems").Places(programs=peers / "programs"))
    figures = []
    for processes in (1, 2):
        call = [sys.executable, BENCH / "worker.py", "pass", "crf", "model", peers / "texts.jsonl", "--batch", "4"]
        ended = subprocess.run(
            [*call, "--processes", str(processes)],
            input="\n", capture_output=True, check=True, text=True, env=environment,
        )  # fmt: skip
        figures.append(json.loads(ended.stdout.splitlines()[-1]))
    assert figures[0]["words"] == figures[1]["words"] == sum(text.count(" ") + 1 for text in texts)
    assert figures[1]["peak_mb"] > 1.5 * figures[0]["peak_mb"]


def test_what_is_on_disk_is_counted_with_all_that_it_requires(tmp_path: Path) -> None:
    worker = program("worker")
    (tmp_path / "model.onnx").write_bytes(b"x" * 2_000_000)
    (tmp_path / "weights.safetensors").write_bytes(b"x" * 9_000_000)
    found = worker.weigh("bytespan", str(tmp_path))
    assert found["model_mb"] == 2.0
    assert {"bytespan", "numpy", "onnxruntime", "typer", "rich"} <= worker.required_by("bytespan")
    assert "torch" not in worker.required_by("bytespan")
    assert found["packages"] == len(worker.required_by("bytespan"))
    assert found["installed_mb"] > 40


def test_peers_that_are_missing_are_named_with_the_remedy(peers: Path) -> None:
    systems = program("systems")
    places = systems.Places(Path(sys.executable), peers / "programs", peers / "models", peers / "data")
    found, missing = systems.find_peers(places)
    assert [system.name for system in found] == ["CRF words, 1 process"]
    assert len(missing) == len(systems.PEERS) - 1
    assert "spacy_peer.py is not there" in missing[0]
    assert missing[-1].startswith(f"CRF entities: its model {peers / 'models' / 'crf-ner-conll-en'} is not there: ")
    assert missing[-1].endswith("--task ner --iterations 100")
    (peers / "programs" / "crf_peer.py").write_text("import absent_module", encoding="utf-8")
    assert "cannot import crf_peer" in systems.find_peers(places)[1][-1]


def test_arithmetic_of_a_step_is_every_weight_times_every_place() -> None:
    speed = program("training_speed")
    from bytespan.config import PRESETS, TrainConfig
    from bytespan.corpora.annotated import annotate
    from bytespan.neural.checkpoint import new_state
    from bytespan.neural.decoders import new_sampler
    from bytespan.vocabulary import Vocabulary

    model, config = PRESETS["tiny"], TrainConfig(batch_size=3, short_fraction=0)
    state = new_state(model, Vocabulary(model.segment_length, speed.LABELS), config)
    batch = new_sampler(annotate([speed.made_up()]), state.model.vocabulary, model, config).batch(0)
    lstm, output = 2 * 4 * 16 * 16, 16 * state.model.vocabulary.output_size
    assert speed.multiplications(state.model, batch) == 3 * (30 + batch.fed.shape[1]) * lstm + batch.fed.size * output


@pytest.mark.slow
def test_a_comparison_runs_from_texts_to_a_table(peers: Path, tiny_parallel_package: Path) -> None:
    options = {"python": sys.executable, "programs": peers / "programs", "models": peers / "models",
               "model": tiny_parallel_package, "fp32": tiny_parallel_package, "text": peers / "text.txt",
               "rounds": 2, "starts": 1, "results": peers / "results"}  # fmt: skip
    call = [sys.executable, BENCH / "compare.py", *(f"--{name}={value}" for name, value in options.items())]
    ended = subprocess.run(call, capture_output=True, text=True, cwd=peers)
    assert ended.returncode == 0, ended.stderr
    assert "missing: en_core_web_sm: its program" in ended.stderr
    assert "| CRF words, 1 process | words | 1 |" in ended.stdout
    result = json.loads((peers / "results" / "compare.json").read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in result["systems"]}
    settings = ("int8, 1 thread", "int8, 2 threads", "int8, 2 processes", "fp32, 1 thread")
    assert {f"bytespan {setting}" for setting in settings} < rows.keys()
    assert len({rows[f"bytespan {setting}"]["words"] for setting in settings}) == 1
    assert all(len(row["seconds"]) == 2 for row in rows.values())
    assert rows["CRF words, 1 process"]["words"] == 5 + 3 + 3
    assert rows.keys() == {name for name in rows if rows[name]["family"] in result["families"]}
    assert all(len(family["starts"]) == 1 for family in result["families"].values())
    assert result["text"] == {"source": "text.txt", "documents": 3, "bytes": 48, "tokens": 11}
    page = program("page").page({"compare": result})
    assert "Not measured: en_core_web_sm, spaCy trained, UDPipe, CRF entities." in page
