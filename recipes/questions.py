"""Answer the paper's open questions with measurements, and write them to docs/questions.md.

    python recipes/questions.py recall --data ../shared/data
    python recipes/questions.py recall --model conll-paper --documents 24
    python recipes/questions.py page

Each command measures, keeps the figures in `recipes/results/questions`, draws a picture, and writes its section of the
page anew; other sections stay as they are.

recall: how far can recall be raised, what does it cost, and are confidences right? About two minutes for a parallel
decoder; the generator is slow, so that it sees some of the documents only.

cells: what do the cells represent, and do states lie together by label or by language? About two minutes; needs the
extra "inspect".

adapt: can a model learn a new language from few sentences and keep the old ones? Many trainings, hours in all; rows
that are there are not made again, and options choose some of them.

memory: does the generator remember what it wrote, and what do constraints on decoding repair? A minute or two each with
`--model conll-paper --documents 12` and `--model pos-paper --documents 2`; the generator is slow.

mixing: what does text in two languages at once cost one model for all, and models of one language? Two minutes, and
one more for each model of one language; rows that are there are not made again, unless the model has changed.

bottleneck, carry, direction, ablations: what do attention, longer segments, a state that is carried on, both
directions, dropout, depth, width, order and other languages give? Small trainings, half a minute to some minutes of one
core each and some forty minutes in all; `--line` chooses some, and what is there is not made again.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ablations
import adapting
import cells
import memory
import mixing
import recall

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "recipes" / "results" / "questions"
PAGE = ROOT / "docs" / "questions.md"
PICTURES = ROOT / "docs" / "questions"


@dataclass(frozen=True, slots=True)
class Question:
    """One section of the page."""

    title: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    answer: Callable[[argparse.Namespace], str]
    """Measures, and gives the section."""
    section: Callable[[], str]
    """From what was measured before, nothing if nothing was."""


QUESTIONS = {
    "recall": Question(
        recall.TITLE,
        "precision against recall, and calibrated confidences",
        recall.add_arguments,
        lambda arguments: recall.answer(arguments, results=RESULTS, pictures=PICTURES),
        lambda: recall.section(recall.read_results(RESULTS)),
    ),
    "cells": Question(
        cells.TITLE,
        "what cells represent, and whether states lie by label or by language",
        cells.add_arguments,
        lambda arguments: cells.answer(arguments, results=RESULTS, pictures=PICTURES),
        lambda: cells.section(cells.read_results(RESULTS)),
    ),
    "adapt": Question(
        adapting.TITLE,
        "a new language from few sentences, and what is forgotten",
        adapting.add_arguments,
        lambda arguments: adapting.answer(arguments, results=RESULTS),
        lambda: adapting.section(adapting.read_results(RESULTS)),
    ),
    "memory": Question(
        memory.TITLE,
        "what the generator remembers of the spans that it wrote",
        memory.add_arguments,
        lambda arguments: memory.answer(arguments, results=RESULTS, pictures=PICTURES),
        lambda: memory.section(memory.read_results(RESULTS)),
    ),
    "mixing": Question(
        mixing.TITLE,
        "text in two languages at once",
        mixing.add_arguments,
        lambda arguments: mixing.answer(arguments, results=RESULTS, pictures=PICTURES),
        lambda: mixing.section(mixing.read_figures(RESULTS / mixing.FILE)),
    ),
} | {
    name: Question(
        question.title,
        question.help,
        partial(ablations.add_arguments, name=name),
        partial(ablations.answer, results=RESULTS, pictures=PICTURES),
        partial(ablations.section_from, RESULTS, name),
    )
    for name, question in ablations.QUESTIONS.items()
}


def write_section(page: Path, title: str, section: str) -> None:
    """Put a section, which begins with `title`, in the place of the one of that title, or between those beside it."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, *sections = text.split("\n## ")
    kept = {part.split("\n", 1)[0]: part.rstrip("\n") for part in sections}
    kept[title] = section.removeprefix("## ").rstrip("\n")
    body = "".join(f"\n## {kept[name]}\n" for name in sorted(kept))
    page.write_text(HEAD + body, encoding="utf-8", newline="\n")


HEAD = """# Open questions

What "Multilingual Language Processing From Bytes" (Gillick et al. 2016) left open, answered by measurements. A
section says what was asked, how it was measured and what came out; in bold, the answer; and the command that makes it
again.

The *generator* is the paper's model: it reads a segment of at most 60 bytes, and writes each span in it as start,
length and label. The *parallel decoder* is that of the packaged model: it labels all words of a text at once. Most
sections speak of these models; [results](results.md) has their scores, [recipes](../recipes/README.md) tells how they
were trained.

| package | decoder | finds | languages | lies in |
|---|---|---|---|---|
| `base` | parallel | words with part of speech; entities | 20; 9 | the packaged model |
| `conll-parallel` | parallel, three networks together | entities | en, de, es, nl | `recipes/weights` |
| `conll-paper` | generator | entities | en, de, es, nl | `recipes/weights` |
| `pos-paper` | generator | words with part of speech | 13 | `recipes/weights` |

Commands run in the project's root, with the data in `../shared/data`, which is not part of the project. An en dash
stands for what has not been measured. A parallel decoder that was not tuned gives the entities that it finds at least
40% likely. Sections 1 and 6 were measured so; all others before, when such a model gave the most likely segmentation.
"""


def write_page() -> None:
    """Write what was measured before."""
    for question in QUESTIONS.values():
        if section := question.section():
            write_section(PAGE, question.title, section)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="question", required=True)
    for name, question in QUESTIONS.items():
        question.add_arguments(commands.add_parser(name, help=question.help))
    commands.add_parser("page", help="write the page from what was measured before")
    arguments = parser.parse_args()
    if arguments.question == "page":
        write_page()
    else:
        chosen = QUESTIONS[arguments.question]
        write_section(PAGE, chosen.title, chosen.answer(arguments))


if __name__ == "__main__":
    main()
