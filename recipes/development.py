"""Packages side by side on whole development files, and on names of corpora that `base` learns none or other text from.

    python recipes/development.py base recipes/weights/base-gold.zip --data ../shared/data

Words: F1 of spans with their part of speech. Names: F1 with the threshold that is best for all files of the kind
together, so that packages are compared and not how they were tuned. Files in columns are read as they are; those of the
second kind are closed up first, as people write; `held-out.jsonl` has names in lines of 20 languages by us.
Development text chooses between trainings: none of it is trained on.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from experiments import ROOT
from numpy.typing import NDArray
from tables import average, table

import bytespan
from bytespan.config import read_recipe
from bytespan.corpora.reading import read_documents
from bytespan.corpora.spacing import close_up
from bytespan.errors import BytespanError
from bytespan.evaluation import score_documents
from bytespan.spans import ENTITIES, TOKENS, Document
from bytespan.tagger import Tagger

THIRTEEN = ("bg", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "id", "it", "sv")
"""Treebanks that peers were trained on, too."""
UNSEEN = ("conll/es", "conll/en", "masakhaner2/yor", "masakhaner2/wol")
"""Folders of names beside those of `base.toml`; silver.py takes over the training text of the last two."""
OURS = Path(__file__).parent / "held-out.jsonl"
KINDS = frozenset({"LOC", "ORG", "PER"})
LEAST = 0.05
"""Spans below this confidence are left aside."""
THRESHOLDS = np.arange(0.1, 0.7, 0.01)


class Found(NamedTuple):
    """The names that a package finds in a file."""

    confidence: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    gold: int
    """How many are annotated."""

    def f1(self, threshold: float) -> float:
        """In percent, of those from a threshold on."""
        chosen = self.confidence >= threshold
        return 200 * int(self.is_right[chosen].sum()) / max(int(chosen.sum()) + self.gold, 1)


def find(tagger: Tagger, documents: Sequence[Document], labels: frozenset[str]) -> Found:
    """The names of these labels in documents."""
    rows, gold = list[tuple[float, bool]](), 0
    answers = tagger.pipe([document.data for document in documents], tasks=[ENTITIES], threshold=LEAST)
    for document, answer in zip(documents, answers, strict=True):
        wanted = {(span.start, span.end, span.label) for span in document.spans[ENTITIES] if span.label in labels}
        gold += len(wanted)
        found = (span for span in answer.spans[ENTITIES] if span.label in labels)
        rows += [(span.score or 0.0, (span.start, span.end, span.label) in wanted) for span in found]
    return Found(np.array([score for score, _ in rows]), np.array([right for _, right in rows], np.bool_), gold)


def best_together(found: Iterable[Found]) -> tuple[float, float]:
    """The threshold with the best F1 of all files together, and that F1."""
    members = list(found)
    confidence, is_right = (np.concatenate([member[column] for member in members]) for column in (0, 1))
    together = Found(confidence, is_right, sum(member.gold for member in members))
    threshold = float(max(THRESHOLDS, key=together.f1))
    return threshold, together.f1(threshold)


def words_of(tagger: Tagger, documents: Sequence[Document]) -> float:
    """F1 of words with their tags."""
    answers = tagger.pipe([document.data for document in documents], tasks=[TOKENS])
    return score_documents(zip(documents, answers, strict=True), task=TOKENS).main


def measure(tagger: Tagger, files: Sequence[str], data: Path, report: Callable[[str], None]) -> dict[str, float]:
    """Row -> figure of a package, in percent."""
    words, names, unseen = dict[str, float](), dict[str, Found](), dict[str, Found]()
    for name in files:
        report(name)
        documents = list(read_documents(data / name))
        if name.startswith("pos/"):
            words[name] = words_of(tagger, documents)
            continue
        labels = frozenset(span.label for document in documents for span in document.spans[ENTITIES])
        names[name] = find(tagger, documents, labels)
    for folder in UNSEEN:
        report(folder)
        documents = [close_up(document) for document in read_documents(data / "ner" / folder / "dev.conll")]
        unseen[f"ner/{folder}, closed up"] = find(tagger, documents, KINDS)
    unseen[OURS.name] = find(tagger, list(read_documents(OURS)), KINDS)
    is_peers = {name: name.split("/")[1] in THIRTEEN for name in words}
    figures = dict(words)
    figures["words, mean of the 13"] = average(words[name] for name in words if is_peers[name]) or 0.0
    figures["words, mean of the others"] = average(words[name] for name in words if not is_peers[name]) or 0.0
    for title, group in (("names", names), ("names beside these", unseen)):
        threshold, pooled = best_together(group.values())
        figures |= {name: found.f1(threshold) for name, found in group.items()}
        figures |= {f"{title}, together": pooled, f"{title}, threshold": threshold}
    return figures


def page(columns: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table, a column a package."""
    rows = next(iter(columns.values()))
    return "\n".join(table(["", *columns], [[row, *(column[row] for column in columns.values())] for row in rows]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", help="model packages, base for the packaged one")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where pos/ and ner/ are")
    parser.add_argument("--threads", type=int, help="all cores if not given")
    options = parser.parse_args()
    recipe = read_recipe(ROOT / "recipes" / "base.toml")
    files = [name for corpus in recipe.corpora for name in corpus.dev]
    columns = dict[str, dict[str, float]]()
    try:
        for package in options.packages:
            tagger = bytespan.load(None if package == "base" else package, threads=options.threads)
            columns[Path(package).stem] = measure(
                tagger, files, options.data, lambda name, package=package: print(package, name, file=sys.stderr)
            )
    except (BytespanError, OSError) as error:  # no package, no data
        sys.exit(f"development: {error}")
    print(page(columns))


if __name__ == "__main__":
    main()
