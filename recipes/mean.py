"""The mean of the weights of trainings, as a checkpoint that another training begins with.

    python recipes/mean.py runs/one/last runs/other/last --output runs/mean
    python recipes/experiments.py run base --initial runs/mean

Only trainings that began with the same weights, or one with those of the other, have a mean that is worth anything. A
package counts like a checkpoint, but not as the last one, whose languages and n-grams the model knows.
"""

import argparse
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from bytespan.errors import BytespanError, ModelError
from bytespan.neural.checkpoint import initialize_from, load_checkpoint, load_model, save_checkpoint
from bytespan.neural.decoders import Model


def write_mean(checkpoints: Sequence[Path], output: Path) -> None:
    """Write a checkpoint with the mean of these ones' weights; ModelError if they are not alike."""
    if checkpoints[-1].is_file():
        raise ModelError(f"{checkpoints[-1]}: a package; name a checkpoint last")
    state, settings = load_checkpoint(checkpoints[-1])

    def model_of(path: Path) -> Model:
        if path.is_dir():
            return load_model(path)[0]
        packaged = replace(state, model=deepcopy(state.model))
        initialize_from(packaged, path)
        return packaged.model

    models = [model_of(path) for path in checkpoints]
    for path, model in zip(checkpoints, models, strict=True):
        if (model.config, model.vocabulary) != (state.model.config, state.model.vocabulary):
            raise ModelError(f"{path}: not of the shape and labels of {checkpoints[-1]}")
    with torch.no_grad():
        for parameter, *others in zip(*(model.parameters() for model in (state.model, *models)), strict=True):
            parameter.copy_(torch.stack(others).mean(dim=0))
    save_checkpoint(output, state, settings, resumable=False)


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="folders such as runs/base/last, or packages")
    parser.add_argument("--output", type=Path, required=True, help="where to write")
    options = parser.parse_args()
    try:
        write_mean(options.checkpoints, options.output)
    except (BytespanError, OSError) as error:  # no checkpoint, another shape, a full disk
        sys.exit(f"mean: {error}")


if __name__ == "__main__":
    main()
