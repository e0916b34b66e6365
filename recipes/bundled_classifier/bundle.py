"""Put the activity classifier of a run into the package.

    python recipes/bundled_classifier/bundle.py RUN

RUN is a folder of `foldwright train classifier` that has finished.
"""

import argparse
import shutil
from pathlib import Path

from foldwright.models.peptide.classifier import (
    BUNDLED_CLASSIFIER,
    ClassifierCard,
    load_classifier,
    save_classifier,
)
from foldwright.runtime.weight_files import read_card

PACKAGE = Path(__file__).parents[2] / "src/foldwright/models/peptide/bundled"


def main() -> None:
    """Read the run named on the command line and write the files of the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    weights = run / "classifier.safetensors"
    provenance = {
        **read_card(ClassifierCard, weights).provenance,
        "licence": "Apache-2.0",
        "rights": "The weights hold no sequence. The table they were trained on gathers public "
        "databases, some of which do not allow redistribution, and is not part of this project.",
    }
    target = PACKAGE / f"{BUNDLED_CLASSIFIER}.safetensors"
    save_classifier(load_classifier(weights), target, provenance=provenance)
    shutil.copy(run / "metrics.csv", PACKAGE / f"{BUNDLED_CLASSIFIER}.metrics.csv")


if __name__ == "__main__":
    main()
