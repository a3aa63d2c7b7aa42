"""One system tagging one text again and again, in that system's own Python. `compare.py` and `growth.py` start it.

    worker.py pass PROGRAM MODEL TEXTS.jsonl [--threads N] [--processes N] [--batch N] [--spacy-processes N]
    worker.py weigh DISTRIBUTION MODEL

`pass` tags the texts once for each line on standard input, their first N if the line is a number (a warm-up), and
answers with a JSON line of seconds, spans found and peak memory. Timed is the way from texts in memory to lists of
(first byte, byte behind the last, label), for words and for entities. With --processes a pool of processes shares the
texts and hands the lists back in order.

`weigh` prints what is on disk: the distribution with all that it requires, without bytecode, and the model.

Peers are driven by the programs of `../shared/peers`, which must be on PYTHONPATH. Standard library only, but for the
system itself.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import metadata, util
from itertools import chain
from pathlib import Path
from typing import Any

Answer = tuple[list[tuple[int, int, str]], list[tuple[int, int, str]]]
"""(words, entities)"""
TagMany = Callable[[Iterable[str]], Iterator[Answer]]


def open_bytespan(model: str, options: argparse.Namespace) -> TagMany:
    """Through `Tagger.pipe`; `packaged` stands for the model that comes with bytespan."""
    import bytespan

    tagger = bytespan.load(None if model == "packaged" else model, threads=options.threads)

    def tag_many(texts: Iterable[str]) -> Iterator[Answer]:
        for document in tagger.pipe(texts):
            words, entities = (
                [(span.start, span.end, span.label) for span in document.spans.get(task, ())]
                for task in ("tokens", "entities")
            )
            yield words, entities

    return tag_many


def open_spacy(model: str, options: argparse.Namespace) -> TagMany:
    """Tagger and entities alone, in batches of `--batch` documents."""
    import spacy_peer

    nlp = spacy_peer.load(model, "tok2vec,tagger,ner", options.batch)
    if options.spacy_processes > 1:
        nlp.pipe = partial(nlp.pipe, n_process=options.spacy_processes)
    return spacy_peer.tag_many(nlp)


def open_udpipe(model: str, options: argparse.Namespace) -> TagMany:
    """Tokenizer and tagger."""
    import udpipe_peer

    return udpipe_peer.tag_many(udpipe_peer.load(Path(model)))


def open_crf(model: str, options: argparse.Namespace) -> TagMany:
    """Words with tags, or entities, whichever the model was trained on."""
    import crf_peer

    return crf_peer.tag_many(*crf_peer.load(Path(model)))


OPENERS = {"bytespan": open_bytespan, "spacy": open_spacy, "udpipe": open_udpipe, "crf": open_crf}

_tag_many: TagMany
"""What a process of the pool tags with: it is there before the processes are forked, so that they share the model."""


def _tag_part(texts: list[str]) -> list[Answer]:
    return list(_tag_many(texts))


def shared_among(tag_many: TagMany, *, processes: int, batch: int) -> TagMany:
    """The same with a pool of processes, each of which is given batches of texts."""
    global _tag_many
    _tag_many = tag_many
    pool = multiprocessing.get_context("fork").Pool(processes)

    def run(texts: Iterable[str]) -> Iterator[Answer]:
        members = list(texts)
        parts = [members[start : start + batch] for start in range(0, len(members), batch)]
        return chain.from_iterable(pool.imap(_tag_part, parts))

    return run


def peak_megabytes(processes: int) -> float:
    """The most memory of this process and of its children, ended or not; pages that they share count in each."""
    children = sum(_peak_kilobytes(child) for child in _children(os.getpid()))
    ended = processes * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss if processes > 1 else 0
    return (_peak_kilobytes(os.getpid()) + max(children, ended)) / 1024


def _children(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text(encoding="ascii").split()]


def _peak_kilobytes(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def passes(options: argparse.Namespace) -> None:
    """Serve passes until standard input ends."""
    with options.texts.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    tag_many = OPENERS[options.program](options.model, options)
    if options.processes > 1:
        tag_many = shared_among(tag_many, processes=options.processes, batch=options.batch)
    processes = max(options.processes, options.spacy_processes)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        part = texts[: int(line) if line.strip() else None]
        began_at, words, entities = time.perf_counter(), 0, 0
        for found_words, found_entities in tag_many(part):
            words, entities = words + len(found_words), entities + len(found_entities)
        elapsed_s = time.perf_counter() - began_at
        figures = {
            "seconds": elapsed_s,
            "words": words,
            "entities": entities,
            "peak_mb": round(peak_megabytes(processes), 1),
        }
        print(json.dumps(figures), flush=True)


def weigh(distribution: str, model: str) -> dict[str, Any]:
    """Packages and bytes of a distribution with all that it requires, and bytes of the model."""
    names = required_by(distribution)
    return {
        "packages": len(names),
        "installed_mb": round(sum(map(size_of, names)) / 1e6, 1),
        "model_mb": round(folder_size(model_folder(model)) / 1e6, 2),
    }


def required_by(distribution: str) -> set[str]:
    """The distribution and, as far as it is installed, all that it requires without extras."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            waiting += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requirements if "extra ==" not in line]
    return found


def size_of(distribution: str) -> int:
    """Bytes of its files without bytecode; of bytespan without its packaged model, which counts as model."""
    if distribution == "bytespan":
        spec = util.find_spec("bytespan")
        assert spec and spec.origin  # noqa: PT018
        root = Path(spec.origin).parent
        return folder_size(root) - folder_size(root / "models")
    files = (Path(str(file.locate())) for file in metadata.files(distribution) or [])
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc" and file.is_file())


def model_folder(model: str) -> Path:
    """Where a model is that a path, the name of a Python package, or `packaged` stands for."""
    if model == "packaged":
        spec = util.find_spec("bytespan")
        assert spec and spec.origin  # noqa: PT018
        return Path(spec.origin).parent / "models" / "base"
    if Path(model).exists():
        return Path(model)
    spec = util.find_spec(model)
    return Path(next(iter(spec.submodule_search_locations or ()))) if spec else Path(model)


def folder_size(folder: Path) -> int:
    """Bytes of all that tagging reads below a folder: no bytecode, no weights to train on."""
    files = [folder] if folder.is_file() else folder.rglob("*")
    wanted = (file for file in files if file.suffix not in (".pyc", ".safetensors"))
    return sum(file.stat().st_size for file in wanted if file.is_file())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    timed = commands.add_parser("pass")
    timed.add_argument("program", choices=OPENERS)
    timed.add_argument("model")
    timed.add_argument("texts", type=Path)
    timed.add_argument("--threads", type=int, default=1, help="of bytespan")
    timed.add_argument("--processes", type=int, default=1, help="of a pool")
    timed.add_argument("--spacy-processes", type=int, default=1, help="n_process of nlp.pipe")
    timed.add_argument(
        "--batch", type=int, default=32, help="documents that spaCy or a process of the pool gets at once"
    )
    weighed = commands.add_parser("weigh")
    weighed.add_argument("distribution")
    weighed.add_argument("model")
    options = parser.parse_args()
    if options.command == "pass":
        passes(options)
    else:
        print(json.dumps(weigh(options.distribution, options.model)))


if __name__ == "__main__":
    main()
