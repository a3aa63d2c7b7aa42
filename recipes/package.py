"""A run's model package with a card that names data, licences, scores and limits; and what a package weighs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from swaps import GOLD

from bytespan.config import CorpusConfig, Recipe
from bytespan.corpora.annotated import without_sentences
from bytespan.corpora.reading import read_documents
from bytespan.package import Provenance, describe_model, read_package

if TYPE_CHECKING:
    from bytespan.price import Price

CONLL = "CoNLL-2002/2003 shared task, research only"
LICENCES = {
    "ner/conll": CONLL,
    "ner/germeval": "GermEval 2014, CC BY 4.0",
    "ner/masakhaner2": "MasakhaNER 2.0, CC BY-NC 4.0",
    "ner/uner": "Universal NER, CC BY-SA 4.0",
    "pos/af": "UD Afrikaans-AfriBooms, CC BY-SA 4.0",
    "pos/ar": "UD Arabic-PADT, CC BY-NC-SA 3.0",
    "pos/bg": "UD Bulgarian-BTB, CC BY-NC-SA 3.0",
    "pos/cs": "UD Czech-FicTree, CC BY-NC-SA 4.0, Czech-CAC and Czech-CLTT, CC BY-SA 4.0",
    "pos/da": "UD Danish-DDT, CC BY-SA 4.0",
    "pos/de": "UD German-LIT, CC BY-NC-SA 4.0, and German-GSD, CC BY-SA 4.0",
    "pos/el": "UD Greek-GDT, CC BY-NC-SA 3.0",
    "pos/en": "UD English-EWT, CC BY-SA 4.0",
    "pos/es": "UD Spanish-AnCora, CC BY 4.0, and Spanish-GSD, CC BY-SA 4.0",
    "pos/fa": "UD Persian-Seraji and Persian-PerDT, CC BY-SA 4.0",
    "pos/fi": "UD Finnish-TDT and Finnish-OOD, CC BY-SA 4.0, and Finnish-FTB, CC BY 4.0",
    "pos/fr": "UD French-Sequoia, LGPL-LR",
    "pos/fr_gsd": "UD French-GSD, CC BY-SA 4.0",
    "pos/id": "UD Indonesian-GSD, CC BY-SA 4.0",
    "pos/it": "UD Italian-ParTUT, CC BY-NC-SA 4.0, and Italian-VIT, CC BY-NC-SA 3.0",
    "pos/no": "UD Norwegian-Bokmaal, CC BY-SA 4.0",
    "pos/pcm": "UD Naija-NSC, CC BY-SA 4.0",
    "pos/ro": "UD Romanian-RRT, CC BY-SA 4.0",
    "pos/sv": "UD Swedish-Talbanken, CC BY-SA 4.0",
    "pos/sv_lines": "UD Swedish-LinES, CC BY-NC-SA 4.0",
    "pos/wo": "UD Wolof-WTB, CC BY-SA 4.0",
    "pos/yo": "MasakhaPOS Yoruba, CC BY-NC 4.0",
}
"""Folder of `../shared/data` -> the corpus and its licence, as its README states them."""

RESEARCH_ONLY = """
## Research only

This model was trained on the texts of the CoNLL-2002/2003 shared tasks, which may be used for research within these
tasks and not be passed on. It is for measuring: it is neither in the wheel nor in the sdist, and not for any other use.
"""

LIMITS = """
## Limits

It knows what its corpora taught it, and no facts of the world. Texts unlike its training data (see above) and languages
that it never saw come out worse; which kinds of names it finds in a language is what that language's corpora annotate.
Where these are names by recipes/silver.py, no person has checked them: it finds fewer names there, and less surely.
The parallel decoder finds whole runs of letters, in scripts without spaces whole characters: of Arabic وبغداد not the
name alone.
Scores are exact spans from raw text, percent / 100, on test files that were not used in training.
"""


def source_of(name: str) -> str:
    """The corpus and licence of a training file; KeyError for a folder that LICENCES does not name."""
    folder = name.rpartition("/")[0]
    stem = PurePosixPath(name).stem
    if folder == "swaps" and stem in GOLD:
        return f"other names by recipes/swaps.py in {source_of(GOLD[stem])}"
    if folder == "swaps" and stem.endswith("_written"):
        passages = f"recipes/written/{stem.removesuffix('_written')}.txt"
        return f"other names by recipes/swaps.py in {passages}, written for it, MIT"
    if folder in ("silver", "swaps"):
        treebank = stem.partition("_joined")[0]
        text = LICENCES.get(f"pos/{treebank}", LICENCES["ner/masakhaner2"])
        return f"{'other ' if folder == 'swaps' else ''}names by recipes/{folder}.py in the text of {text}"
    found = LICENCES.get(folder) or LICENCES.get(folder.rpartition("/")[0])
    if found is None:
        raise KeyError(f"{name}: say in LICENCES of recipes/package.py which corpus this is, and its licence")
    return found


def licence_of(sources: Sequence[str]) -> str:
    """The strictest licence of the data, whose sources name theirs."""
    licences = " ".join(sources)
    if CONLL in licences:
        return "research only"
    return "CC BY-NC-SA 4.0" if "-NC" in licences else "CC BY-SA 4.0"


def provenance_of(
    name: str,
    recipe: Recipe,
    *,
    scores: Sequence[Mapping[str, Any]],
    precision: str,
    initial: Provenance | None = None,
) -> Provenance:
    """What the card says of the model, field by field; `scores` are entries of a result file.

    `initial`: of the model with whose weights it began, if any, whose training data are its own, too.
    """
    files = tuple(dict.fromkeys(file for corpus in recipe.corpora for file in corpus.train))
    languages = dict.fromkeys(corpus.name.partition("_")[0] for corpus in recipe.corpora)
    units = {"pos": ("UPOS F1", "upos_f1"), "ner": ("F1", "f1")}
    figures: dict[str, float] = {}
    for score in scores:
        title, key = units[score["task"]]
        if "/test." in score["file"]:
            figures[f"{score['file']} {title}"] = round(score[key] / 100, 4)
    data = [f"{file}: {source_of(file)}" for file in files]
    if initial is not None:
        others = (line for line in initial.training_data if line.partition(": ")[0] not in files)
        data += [f"{line} (by {initial.name}, with whose weights it began)" for line in others]
    return Provenance(
        name=name,
        languages=tuple(languages),
        licence=licence_of(data),
        training_data=tuple(data),
        scores=figures,
        precision=precision,
    )


def write_run_package(
    runs: Sequence[Path],
    path: Path,
    recipe: Recipe,
    *,
    scores: Sequence[Mapping[str, Any]],
    precision: str,
    data: Path = Path(),
    sample_bytes: int = 0,
    initial: Path | None = None,
    silver: Sequence[CorpusConfig] = (),
) -> None:
    """Write the package of a run's best checkpoint, or of those of several runs as an ensemble.

    Of one run, `model.onnx` is all that training on from it needs.

    About `sample_bytes` of text go along for `bytespan adapt`, from the beginnings of all training files below `data`.
    `initial` is the package with whose weights it began, `silver` the corpora of names that `silver.py` wrote for it.
    """
    from bytespan.neural.batches import WORDS
    from bytespan.neural.checkpoint import load_best
    from bytespan.neural.export import export_package
    from bytespan.neural.rehearsal import pack_sample

    model, *others = map(load_best, runs)
    whole = {corpus.train: corpus for corpus in recipe.corpora if corpus.sentences is None}  # each file once
    share = sample_bytes // max(sum(map(len, whole)), 1)
    texts = [text for corpus in whole.values() for text in sample_of(corpus, data, share)]
    provenance = provenance_of(
        path.stem if path.parent != runs[0] else runs[0].name,
        replace(recipe, corpora=(*recipe.corpora, *silver)),
        scores=scores,
        precision=precision,
        initial=read_package(initial, with_weights=False).provenance if initial is not None else None,
    )
    labels = {task: members for task, members in model.vocabulary.labels.items() if task != WORDS}
    note = RESEARCH_ONLY if provenance.licence == "research only" else ""
    card = describe_model(replace(model.config, ensemble=len(runs)), labels, provenance) + note + LIMITS
    path.parent.mkdir(parents=True, exist_ok=True)
    export_package(
        model,
        path,
        others=others,
        provenance=provenance,
        precision=precision,
        with_weights=False,
        sample=pack_sample(texts) if texts else None,
        card=card,
    )


def sample_of(corpus: CorpusConfig, data: Path, size: int) -> list[bytes]:
    """The first `size` bytes of each of its training files, without the sentences that another folder tests on."""
    from bytespan.neural.rehearsal import draw_sample

    if not size:
        return []
    forbidden = [document for name in corpus.without for document in read_documents(data / name)]
    files = (without_sentences(read_documents(data / name), forbidden) for name in corpus.train)
    return [text for documents in files for text in draw_sample(documents, size)]


def measure_runs(
    runs: Sequence[Path], files: Sequence[str], *, data: Path, precision: str, threads: int | None
) -> list["Price"]:
    """What a precision costs a run's best checkpoint, or the ensemble of several, on development files of `data`."""
    from bytespan.neural.checkpoint import load_best
    from bytespan.price import measure_prices

    if precision == "fp32":
        return []
    model, *others = map(load_best, runs)
    names = [data / name for name in files]
    prices = measure_prices(model, names, others=others, precision=precision, threads=threads)
    return [replace(price, file=str(Path(price.file).relative_to(data))) for price in prices]


def parameters_of(path: Path) -> dict[str, int]:
    """Parameters of a package's models: in the tables of n-grams, of which a text reads few, and all others."""
    from bytespan.neural.decoders import new_model

    package = read_package(path, with_weights=False)
    model = new_model(replace(package.config, ensemble=1), package.vocabulary)
    sizes = {name: package.config.ensemble * value.numel() for name, value in model.named_parameters()}
    table = sizes.get("table.weight", 0)
    return {"dense": sum(sizes.values()) - table, "table": table}


def size_on_disk(path: Path) -> int:
    """Bytes of a package, a zip file or all files of a directory."""
    return sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
