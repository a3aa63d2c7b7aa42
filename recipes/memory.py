"""What the generator remembers of what it wrote: question 7 of docs/questions.md, asked by `questions.py memory`."""

import argparse
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cutting import some_documents
from peers import POS_13
from scoring import read_json, write_json
from tables import table
from triples import DECODINGS, SLIPS, measure

from bytespan.evaluation import Counts
from bytespan.package import read_package
from bytespan.runtime.generate import OnnxGenerator
from bytespan.spans import ENTITIES, TOKENS, Document, Span

RECIPES = Path(__file__).parent
TITLE = "7. Memory of what was produced"


@dataclass(frozen=True, slots=True)
class Asked:
    """A generator, and the text that it is asked to write the spans of."""

    package: Path
    task: str
    files: str
    languages: Sequence[str]
    least: Sequence[int]
    """How many gold spans a segment has at least in each row of the tables."""
    separator: str
    """Between the words of a list."""


MODELS = {
    "conll-paper": Asked(RECIPES / "weights" / "conll-paper", ENTITIES, "ner/conll/{}/test.conll",
                         ("en", "de", "es", "nl"), (0, 1, 2, 3, 4, 5), " , "),
    "pos-paper": Asked(RECIPES / "weights" / "pos-paper", TOKENS, "pos/{}/test.conllu", POS_13,
                       (0, 5, 8, 11, 14, 17), " "),
}  # fmt: skip

LISTS_OF = ("the same word", "different words")

WORD_BYTES = range(3, 13)
"""Lengths of the words of lists: the shorter, the more of them are in a segment."""

LISTS = 20
"""Lists of each kind and length of words."""

LIST_SEGMENTS = 3
"""How many segments long a list is."""

ASKED = f"""## {TITLE}

Nothing in the paper's decoder forbids a span twice, spans that overlap, or symbols that make no triple. How much does
it remember of what it has written, the more spans a segment has? And what is repaired by decoding under constraints?

Measured on test files, segment by segment as in use, but every segment written to its end, and against the gold spans
that lie wholly in it. *Free* is the paper's decoding: the most likely symbol, whatever it is. Malformed are symbols
that are no start, length and label in a row (three count as one triple); triples beyond would end behind the segment; a
duplicate was written before, an overlapping span shares bytes with one that was, and what is out of order ends behind
the span before it. All of these are slips. F1 as written takes them for answers; repaired, what is malformed, beyond or
there twice is dropped, and of overlapping spans the more probable stays. F1 is that of segments, not of documents.

Of constraints there are two: *whole words*, as `bytespan tag` decodes, rules out starts and lengths at which a span
would cut a word; *whole words and triples* rules out besides every symbol that would not go on with a triple, or not
fit in the segment.

Then lists, {LIST_SEGMENTS} segments long, decoded freely: of one word of the same files over and over, where only
keeping count tells one place from the next, and of as many different words of the same length."""


def answer(
    arguments: argparse.Namespace, *, results: Path, pictures: Path, models: Mapping[str, Asked] = MODELS
) -> str:
    """Write with the models asked for, keep the figures, and draw and tell of all that were asked."""
    for name in [arguments.model] if arguments.model else models:
        asked = models[name]
        model = OnnxGenerator(read_package(asked.package, with_weights=False), threads=arguments.threads)
        documents = [
            document
            for language in asked.languages
            for document in some_documents(arguments.data / asked.files.format(language), arguments.documents)
        ]
        lists = word_lists(documents, asked, size=LIST_SEGMENTS * model.config.segment_length)
        options: dict[str, Any] = {"task": asked.task, "least": asked.least}
        counted = {"running text": measure(model, documents, **options, decodings=DECODINGS)}
        counted |= {text: measure(model, members, **options, decodings=["free"]) for text, members in lists.items()}
        write_json(results / f"memory-{name}.json", {"documents": arguments.documents} | counted)
    found = read_results(results, models)
    draw(pictures / "memory.png", found)
    return section(found)


def word_lists(documents: Iterable[Document], asked: Asked, *, size: int, seed: int = 1) -> dict[str, list[Document]]:
    """Lists of the documents' words of one length, a word over and over or each once; as many bytes of either."""
    words = {
        document.data[span.start : span.end]: span.label
        for document in documents
        for span in document.spans[asked.task]
        if span.end - span.start in WORD_BYTES
    }
    usable = sorted(item for item in words.items() if item[0].decode().isalpha())
    random.Random(seed).shuffle(usable)
    lists: dict[str, list[Document]] = {"the same word": [], "different words": []}
    for length, group in groupby(sorted(usable, key=lambda item: len(item[0])), key=lambda item: len(item[0])):
        members, count = list(group), size // (length + len(asked.separator))
        for i in range(min(LISTS, len(members) - count)):
            lists["the same word"].append(_list([members[i]] * count, asked))
            lists["different words"].append(_list(members[i : i + count], asked))
    return lists


def _list(words: Sequence[tuple[bytes, str]], asked: Asked) -> Document:
    step = len(words[0][0]) + len(asked.separator)
    spans = [Span(i * step, i * step + len(word), label) for i, (word, label) in enumerate(words)]
    return Document(asked.separator.encode().join(word for word, _ in words), {asked.task: spans})


def read_results(folder: Path, models: Mapping[str, Asked] = MODELS) -> dict[str, dict[str, Any]]:
    """Model -> what was counted, of models that were asked."""
    read = {name: read_json(folder / f"memory-{name}.json") for name in models}
    return {name: result for name, result in read.items() if result}


def section(results: Mapping[str, dict[str, Any]]) -> str:
    """The section of the page."""
    lines = [ASKED, ""]
    for name, result in results.items():
        sample = f" ({result['documents']} documents of each test file)" if result["documents"] else ""
        counted = result["running text"]
        rows = rows_of(counted["free"]) | {"all": total(counted["free"])}
        lines += [f"`{name}`, free{sample}:", "", *_text_table("gold spans in the segment", rows)]
        lines += [f"`{name}`, decodings:", "", *_text_table("", {key: total(part) for key, part in counted.items()})]
        lines += [f"`{name}`, lists:", "", *_lists_table(result)]
    lines += ["![Slips and missed spans by the number of spans in a segment](questions/memory.png)", ""]
    calls = [
        f"`python recipes/questions.py memory --model {name}{sample}`"
        for name, result in results.items()
        for sample in [f" --documents {result['documents']}" if result["documents"] else ""]
    ]
    return "\n".join([*lines, _answer(results), "", f"Again: {', '.join(calls)}.", ""])


def rows_of(counted: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """Title -> what was counted in the segments of one row; rows without segments are left out."""
    least = [int(key) for key in counted]
    nexts = [*least[1:], None]
    titles = [
        f"{low} or more" if after is None else f"{low}" if after == low + 1 else f"{low} to {after - 1}"
        for low, after in zip(least, nexts, strict=True)
    ]
    rows = zip(titles, (Counter(counts) for counts in counted.values()), strict=True)
    return {title: counts for title, counts in rows if counts["segments"]}


def total(counted: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """All segments together."""
    return sum((Counter(counts) for counts in counted.values()), Counter())


def slips(counts: Counter[str]) -> int:
    """Triples that would not have been written with a memory of those before."""
    return sum(counts[slip] for slip in SLIPS)


def per_thousand(counts: Counter[str]) -> float:
    """Slips, of a thousand triples."""
    return 1000 * slips(counts) / max(counts["written"], 1)


def f1(counts: Counter[str], *, repaired: bool) -> float:
    """Percent."""
    right, written = ("kept_right", "kept") if repaired else ("right", "written")
    return Counts(counts[right], counts[written], counts["gold"]).f1


def missed(counts: Counter[str]) -> float:
    """Percent of the gold spans that were not written."""
    return 100 - 100 * counts["right"] / max(counts["gold"], 1)


def _text_table(title: str, rows: Mapping[str, Counter[str]]) -> list[str]:
    head = [title, "segments", "triples written", *SLIPS, "no STOP", "a word cut, %", "missed, %", "F1 as written",
            "F1 repaired"]  # fmt: skip
    return table(head, [_text_row(name, counts) for name, counts in rows.items()])


def _text_row(title: str, counts: Counter[str]) -> list[object]:
    cut = 100 * counts["cut"] / max(counts["written"], 1)
    figures = [missed(counts), f1(counts, repaired=False), f1(counts, repaired=True)] if counts["gold"] else [None] * 3
    numbers = [f"{counts[key]:,}" for key in ("segments", "written", *SLIPS, "endless")]
    return [title, *numbers, cut, *figures]


def _lists_table(result: Mapping[str, Any]) -> list[str]:
    parts = [rows_of(result[text]["free"]) | {"all": total(result[text]["free"])} for text in LISTS_OF]
    head = ["gold spans in the segment", "segments"]
    head += [f"{text}: {figure}" for text in LISTS_OF for figure in ("slips in 1,000 triples", "missed, %")]
    rows = []
    for title, counts in parts[0].items():
        both = (counts, parts[1].get(title, Counter[str]()))
        figures = (figure for part in both for figure in (per_thousand(part), missed(part)))
        rows.append([title, f"{counts['segments']:,}", *figures])
    return table(head, rows)


def _answer(results: Mapping[str, dict[str, Any]]) -> str:
    """Two sentences."""
    rates, lists, growth, repairs, words, triples = [], [], [], [], [], []
    for name, result in results.items():
        free, whole, both = (total(result["running text"][decoding]) for decoding in DECODINGS)
        same, different = (total(result[text]["free"]) for text in LISTS_OF)
        rates.append(f"{slips(free):,} of {free['written']:,} triples in {name}")
        lists.append(f"{missed(same):.0f} % against {missed(different):.0f} %")
        rows = [(title, row) for title, row in rows_of(result["running text"]["free"]).items() if row["gold"]]
        few, many = (f"{missed(row):.0f} % with {title}" for title, row in (rows[0], rows[-1]))
        growth.append(f"from {few} in the segment to {many} in {name}")
        repairs.append(f"{f1(free, repaired=True) - f1(free, repaired=False):+.2f}")
        words.append(f"{f1(free, repaired=True):.1f} to {f1(whole, repaired=True):.1f}")
        triples.append(f"{f1(both, repaired=True) - f1(whole, repaired=True):+.2f}")
    return (
        f"**The decoder keeps track of what it has written: malformed, beyond the segment, double, overlapping or out "
        f"of order are {' and '.join(rates)}, and it misses {' and '.join(lists)} of the spans in lists of one word "
        f"against lists of different words, but the share of gold spans that it misses goes {' and '.join(growth)}. "
        f"So repairing triples is worth {' and '.join(repairs)} F1, keeping words whole takes F1 from "
        f"{' and from '.join(words)}, and ruling out all but whole triples besides adds {' and '.join(triples)}.**"
    )


def draw(path: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Slips and missed spans by the number of gold spans, a column a model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6 * len(results), 7), layout="constrained")
    panels = figure.subplots(2, len(results), squeeze=False)
    for column, (name, result) in enumerate(results.items()):
        parts = {f"running text, {decoding}": part for decoding, part in result["running text"].items()}
        parts |= {f"lists of {text}, free": result[text]["free"] for text in LISTS_OF}
        for (label, part), style in zip(parts.items(), ("ko-", "bs-", "c^--", "rv:", "yd:"), strict=True):
            rows = {title: row for title, row in rows_of(part).items() if row["gold"]}
            for axes, value in zip(panels[:, column], (per_thousand, missed), strict=True):
                axes.plot(list(rows), [value(row) for row in rows.values()], style, label=label)
        panels[0, column].set(title=name, ylabel="slips in 1,000 triples")
        panels[1, column].set(xlabel="gold spans in the segment", ylabel="missed, %", ylim=(0, 100))
        for axes in panels[:, column]:
            axes.grid(alpha=0.3)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `answer` takes."""
    parser.add_argument("--model", choices=MODELS, help="(default: all)")
    parser.add_argument("--documents", type=int, help="of each file, at even distances (default: all)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=1)
