"""CPU seconds that 1,000 peptides of 12 to 30 residues cost.

    python benchmarks/peptide_sampling.py [--weights FILE] [--num 200] [--threads 2]

Peptides are asked to be antimicrobial. One process, a batch on each thread, as `foldwright peptide`
does it; CPU seconds are those of all threads, so they hold on a machine that does other things too;
the elapsed time does not. The rest of a run
(reading weights, scores, files) is not in them.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import torch

from foldwright.models.peptide.draws import Draw, batches_of, draw_sequences
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.peptide_settings import (
    PeptideSettings,
    resolve_peptide_settings,
)
from foldwright.models.peptide.weights import load_peptide_weights
from foldwright.runtime.side_by_side import side_by_side

CASES: tuple[dict[str, object], ...] = (
    {"guidance": 2.0},
    {"guidance": 1.0},
    {"guidance": 2.0, "steps": 25, "guidance_range": (0.0, 1.0)},
    {"guidance": 2.0, "sampler": "dpm"},
)
PER = 1000


def measure(model: PeptideModel, num: int, changes: dict[str, object]) -> tuple[float, float]:
    """CPU and elapsed seconds per 1,000 peptides."""
    facts = ModelFacts(
        model.labels, model.max_length, model.process.num_timesteps, model.length_counts
    )
    values = {"activity": ("antimicrobial",), "length": "12-30", **changes}
    plan = resolve_peptide_settings(PeptideSettings.model_validate(values), facts)
    # lengths in turn, so that the mean length is the same for every number
    draws = [Draw(index, 0, 12 + index % 19, 0) for index in range(num)]
    began, used = time.perf_counter(), time.process_time()
    cpu = torch.device("cpu")

    def make(batch: Sequence[Draw], proceed: Callable[[], None]) -> None:
        draw_sequences(model, plan, batch, device=cpu, on_step=lambda step: proceed())

    with side_by_side(make, batches_of(draws, cpu), cpu) as results:
        for _ in results:
            pass
    scale = PER / num
    return scale * (time.process_time() - used), scale * (time.perf_counter() - began)


def main() -> None:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--num", type=int, default=PER)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_peptide_weights(options.weights)
    print(f"{'settings':52} {'CPU s':>8} {'elapsed s':>10}  per {PER} peptides")
    for changes in CASES:
        cpu, elapsed = measure(model, options.num, dict(changes))
        name = ", ".join(f"{key} {value}" for key, value in changes.items())
        print(f"{name:52} {cpu:8.1f} {elapsed:10.1f}")


if __name__ == "__main__":
    main()
