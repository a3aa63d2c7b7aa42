"""Write docs/performance.md and its pictures from the result files of bench/results.

    python bench/page.py

Nothing is measured here: `compare.py`, `growth.py`, `constancy.py`, `floors.py` and `training_speed.py` do. What was
not measured is a dash.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import floors
import machine

PAGE = machine.ROOT / "docs" / "performance.md"
PICTURES = machine.ROOT / "docs" / "performance"
DASH = "–"
OURS = "bytespan"

Row = Mapping[str, Any]
Result = Mapping[str, Any]


def figure(value: float | None) -> str:
    """Three digits that count, thousands with commas; a dash for what was not measured."""
    if value is None:
        return DASH
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, names: int = 1) -> list[str]:
    """A Markdown table whose first `names` columns are text."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * names}{'--:|' * (len(head) - names)}"]
    for row in rows:
        cells = (figure(cell) if isinstance(cell, (int, float)) or cell is None else str(cell) for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def describe(result: Result) -> str:
    """Where and when, in one sentence."""
    at = result["machine"]
    versions = ", ".join(f"{name} {at[name]}" for name in ("onnxruntime", "numpy", "torch") if name in at)
    return (
        f"Measured on {at['date']} at commit {at['commit']}: {at['processor']}, {at['cores']} cores, "
        f"{at['memory_gb']} GB, {at['system']}, Python {at['python']}, {versions}; load average {at['load']} before."
    )


def rate(result: Result, row: Row, unit: str) -> float:
    """Bytes or tokens of the text a second, by the median pass."""
    size: int = result["text"][unit]
    return size / median(row["seconds"])


def best(result: Result, rows: Iterable[Row], *, cores: int) -> Row | None:
    """The fastest of some systems on at most so many cores."""
    fitting = [row for row in rows if row["cores"] <= cores]
    return max(fitting, key=lambda row: rate(result, row, "tokens"), default=None)


def is_ours(row: Row) -> bool:
    """Whether a system is bytespan."""
    return bool(row["name"].startswith(OURS))


def speed_table(result: Result) -> list[str]:
    """A row a system."""
    ours = {cores: best(result, filter(is_ours, result["systems"]), cores=cores) for cores in (1, 2)}
    rows = []
    for row in result["systems"]:
        reference = ours[row["cores"]]
        ratio = None if reference is None else rate(result, reference, "tokens") / rate(result, row, "tokens")
        spread = 100 * (max(row["seconds"]) / min(row["seconds"]) - 1)
        speeds = (rate(result, row, "bytes") / 1000, rate(result, row, "tokens"))
        rows.append((row["name"], row["does"], row["cores"], *speeds, ratio, spread, row["peak_mb"]))
    head = (
        "system", "finds", "cores", "kB/s", "tokens/s", "bytespan on as many cores is faster by",
        "slowest over fastest pass, %", "peak memory, MB",
    )  # fmt: skip
    return table(head, rows, names=2)


def start_table(result: Result) -> list[str]:
    """A row a program with its model."""
    head = ("program and model", "cold start, s", "packages", "installed, MB", "model, MB")
    rows = [
        (name, _median(row["starts"]), row["packages"], row["installed_mb"], row["model_mb"])
        for name, row in result["families"].items()
    ]
    others = [(f"`{name}` alone", _median(starts), None, None, None) for name, starts in result["starts"].items()]
    return table(head, [*rows, *others])


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def families(result: Result) -> dict[str, list[Row]]:
    """Program and model -> its systems."""
    found: dict[str, list[Row]] = {}
    for row in result["systems"]:
        found.setdefault(row["family"], []).append(row)
    return found


def verdicts(result: Result) -> list[str]:
    """A sentence a peer: how it compares on two cores, each in its best setting."""
    ours = best(result, filter(is_ours, result["systems"]), cores=2)
    if ours is None:
        return []
    speed = rate(result, ours, "tokens")
    lines = [f"On two cores {ours['name']} reaches {figure(speed)} tokens/s, {ours['does']} together."]
    for rows in families(result).values():
        peer = best(result, rows, cores=2)
        if peer is not None and not is_ours(peer):
            ratio = speed / rate(result, peer, "tokens")
            said = f"{figure(ratio)} times as fast as" if ratio >= 1 else f"at {100 * ratio:.0f}% of the speed of"
            lines.append(f"That is {said} {peer['name']}, its best setting, which finds {peer['does']}.")
    return lines


def beside_peers(result: Result | None) -> list[str]:
    """The comparison."""
    head = ["## Beside other taggers", ""]
    if result is None:
        return [*head, f"{DASH} not measured yet: `python bench/compare.py`.", ""]
    text = result["text"]
    return [
        *head,
        f"{text['source']}: {text['documents']} documents, "
        f"{figure(text['bytes'] / 1000)} kB, {text['tokens']:,} tokens. Tokens are counted once for all, as runs of "
        "letters and digits and other marks one by one. Timed is the way from texts in memory to lists of byte spans, "
        "all systems in turn, each in a warm process of its own; the figures are those of the median pass.",
        "",
        *(f"- {line}" for line in verdicts(result)),
        "",
        *speed_table(result),
        "Two processes are a pool that shares the texts, as `bytespan tag --workers 2` makes one; `n_process` is "
        "spaCy's own. Peak memory is that of the process and of its children, added up; what they share counts in "
        "each. The CRF keeps the features of every word that it has seen, and here it has seen them all: on new text "
        "it is slower. How long a peer was trained matters little for its speed, and some were trained for minutes: "
        "UDPipe, where it is shown, 5 epochs for its tokenizer and 4 for its tagger on all the data. What trained ones "
        "score is in [results.md](results.md).",
        "",
        "![Speed, memory and cold start of all systems](performance/compare.png)",
        "",
        "A cold start is a whole process that tags one sentence, files already in memory, the median of "
        f"{_most(result)}. Installed is what `pip install` brings, without bytecode; bytespan without its model.",
        "",
        *start_table(result),
        *([f"Not measured: {', '.join(result['missing'])}.", ""] if result["missing"] else []),
        describe(result),
        "",
    ]


def _most(result: Result) -> int:
    return max((len(row["starts"]) for row in result["families"].values()), default=0)


def size_of(row: Row) -> str:
    """The length of a text, as people say it."""
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")):
        if row["bytes"] >= unit:
            return f"{row['bytes'] // unit} {name}"
    return "one letter"


def steady_rate(result: Result, row: Row) -> float | None:
    """Bytes a second of a whole process, less what it takes to start; None where that is nearly all."""
    start = result["length"].get(f"0 {row['kind']}", {}).get("seconds")
    if start is None or row["seconds"] < 1.2 * start or not row["bytes"]:
        return None
    return float(row["bytes"] / (row["seconds"] - start))


def length(result: Result) -> list[str]:
    """Whole processes."""
    rows = list(result["length"].values())
    cells = [
        (
            size_of(row),
            row["kind"],
            row["seconds"],
            _in_kilobytes(steady_rate(result, row)),
            row["first_output_s"],
            row["peak_mb"],
        )
        for row in rows
    ]
    head = ("text", "as", "seconds", "kB/s after the start", "first output, s", "peak memory, MB")
    return [
        "Whole processes of `bytespan tag --format jsonl`, the text coming through a pipe, with all cores or "
        "two workers, which are processes. A line is a document; beyond 64 KiB it is cut. "
        "Peak memory is that of the largest process.",
        "",
        *_constancy(result),
        *table(head, cells, names=2),
    ]


COSTS = {"cpu_s": "processor seconds", "seconds": "seconds that pass"}


def cost(result: Result, row: Row, key: str, size: int) -> float:
    """Seconds a byte, of those that a process with a single letter does not take."""
    return float(row[key] - median(each[key] for each in result["letter"])) / size


def constancy(result: Result | None) -> list[str]:
    """A very long text beside 1 MB."""
    head = ["### A gigabyte", ""]
    if result is None:
        return [*head, f"{DASH} not measured yet: `python bench/constancy.py`.", ""]
    large, small = result["large"], result["small"]
    long, short = size_of(result), size_of({"bytes": result["small_bytes"]})
    rows = []
    for key, name in COSTS.items():
        dear = cost(result, large, key, result["bytes"])
        cheap = [cost(result, row, key, result["small_bytes"]) for row in small]
        halves = [median(half) for half in (cheap[: len(cheap) // 2], cheap[len(cheap) // 2 :])]
        row = (name, *(1e6 * each for each in (*halves, dear)), 100 * (dear / median(cheap) - 1))
        rows.append(row)
    kind = (
        result["kind"] if result.get("threads") is None else f"{result['kind']}, {result['threads']} thread a process"
    )
    return [
        *head,
        f"{long} ({kind}) for one call of `bytespan tag --format jsonl`, and {len(small)} times {short}, "
        "half of them right before it and half right after; what a call with a single letter takes is taken off. "
        f"{long} took {figure(large['seconds'])} s and at most {figure(large['peak_mb'])} MB of memory in a process; "
        f"its first output came after {figure(large['first_output_s'])} s.",
        "",
        *table(
            ("seconds a megabyte, as", f"{short} before", f"{short} after", long, "more, %"),
            rows,
        ),
        describe(result),
        "",
    ]


def _in_kilobytes(value: float | None) -> float | None:
    return None if value is None else value / 1000


def _constancy(result: Result) -> list[str]:
    """What the largest text costs a byte beside 1 MB of its kind, and the most memory."""
    rows = list(result["length"].values())
    large = max(rows, key=lambda row: row["bytes"], default=None)
    if large is None or large["bytes"] <= 1_000_000:
        return []
    small = result["length"].get(f"1000000 {large['kind']}")
    before, after = (None if row is None else steady_rate(result, row) for row in (small, large))
    if before is None or after is None:
        return []
    change = 100 * (before / after - 1)
    return [
        f"A byte of {size_of(large)} costs {abs(change):.0f}% {'more' if change > 0 else 'less'} than a byte of 1 MB "
        f"({large['kind']}); no text took more than {figure(max(row['peak_mb'] for row in rows))} MB of memory.",
        "",
    ]


def in_memory(result: Result, part: str, title: str) -> list[str]:
    """One of the tables of texts in memory on one thread."""
    rows = [
        (name, row["bytes"] / median(row["seconds"]) / 1000, row["characters"] / median(row["seconds"]) / 1000,
         row["tokens"] / median(row["seconds"]))
        for name, row in result[part].items()
    ]  # fmt: skip
    return table((title, "kB/s", "thousand characters/s", "tokens/s"), rows) if rows else []


def growth(result: Result | None) -> list[str]:
    """How cost grows."""
    head = ["## How the cost grows", ""]
    if result is None:
        return [*head, f"{DASH} not measured yet: `python bench/growth.py`.", ""]
    return [
        *head,
        "### With the length of the text",
        "",
        *length(result),
        "![Speed and memory over the length of the text](performance/growth.png)",
        "",
        "### With the length of the segments",
        "",
        "`segment_length` may be set at use. Longer segments show the model more of the text, and less of it twice; "
        "but every word of a segment is compared with every other. One thread, English.",
        "",
        *in_memory(result, "segments", "bytes in a segment"),
        "### With labels",
        "",
        "Models of the shape of the preset `parallel`, with one task of so many labels, that were never trained and "
        "find spans at random. Every label adds two tags to be scored. One thread, English.",
        "",
        *in_memory(result, "labels", "labels"),
        "### With languages",
        "",
        "The same model on texts of several languages, one thread. It reads words, so a language costs by the word; "
        "writing without spaces is read character by character.",
        "",
        *in_memory(result, "languages", "language"),
        describe(result),
        "",
    ]


def training_table(result: Result) -> list[str]:
    """A row a preset and precision."""
    rows = []
    for row in result["presets"]:
        product = result["products"][row["precision"]]
        share = 100 * row["gflops"] / product
        rows.append((row["preset"], row["precision"], row["bytes_per_s"] / 1000, row["gflops"], product, share))
    head = ("preset", "numbers", "kB/s", "GFLOP/s", "matrix product, GFLOP/s", "share, %")
    return table(head, rows, names=2)


def training(result: Result | None) -> list[str]:
    """Training speed."""
    head = ["## Training", ""]
    if result is None:
        return [*head, f"{DASH} not measured yet: `python bench/training_speed.py`.", ""]
    return [
        *head,
        "Whole optimizer steps, and which share of the rate of a plain matrix product on this machine their "
        "multiplications by weights reach. A byte costs the presets very different amounts of arithmetic: the "
        "generator reads byte by byte, the parallel decoder word by word.",
        "",
        *training_table(result),
        f"Threads: {result['machine']['threads']}. {describe(result)}",
        "",
    ]


HEAD = """# Performance

How fast bytespan is on a plain CPU, beside other taggers and by itself. Everything is measured by one command in the
project's root, in about ten minutes on a machine that does nothing else:

```
python bench/run.py --python runs/peers-venv/bin/python
```

Its parts are `bench/compare.py`, `bench/growth.py`, `bench/floors.py`, `bench/training_speed.py` and, with `--long`,
`bench/constancy.py`, which takes half an hour; each has `--help`. The figures are in `bench/results`, from which
`python bench/page.py` makes this page; an en dash stands for what was not measured.

"""

PARTS: Mapping[str, Callable[[Result | None], list[str]]] = {
    "compare": beside_peers, "growth": growth, "constancy": constancy, "floors": floors.section, "training": training
}  # fmt: skip
"""Result file -> its part of the page."""


def page(results: Mapping[str, Result | None]) -> str:
    """The whole of docs/performance.md."""
    return HEAD + "\n".join(line for name, part in PARTS.items() for line in part(results.get(name)))


def publish() -> None:
    """Write the page and its pictures."""
    import plots

    results = {name: machine.read(name) for name in PARTS}
    plots.draw(results, PICTURES)
    PAGE.write_text(page(results), encoding="utf-8", newline="\n")


def main() -> None:
    """Run the command."""
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    publish()


if __name__ == "__main__":
    main()
