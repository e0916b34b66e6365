"""Writes the reference numbers of Protenix: `python -m tests.oracles.write_protenix`.

Run it where the package is installed (`make test-oracles` makes such an environment). Parameters
come from fixed random streams (`mixed_input.seeded_parameters`) and are not kept.
"""

import numpy as np
from torch import nn

from tests.models.fold.family_results import FAMILY_GOLDENS, kept_results
from tests.models.fold.mixed_input import few_atoms, mixed_input
from tests.models.fold.protenix_shapes import write_protenix_shapes
from tests.oracles.protenix_package import (
    PUBLISHED,
    REDUCED,
    protenix_network,
    protenix_results,
    protenix_state,
)

KEPT_OF_FEW = ("single", "denoised 300.0", "lddt")


def shapes(network: nn.Module) -> dict[str, list[int]]:
    """Names and shapes of all tensors."""
    return {name: list(values.shape) for name, values in network.state_dict().items()}


def main() -> None:
    small = protenix_network("protenix_base_default_v1.0.0", REDUCED)
    networks = {"reduced": shapes(small)}
    networks |= {name: shapes(protenix_network(name, {})) for name in PUBLISHED}
    write_protenix_shapes(networks)
    protenix_state(small)
    few = protenix_results(small, few_atoms())
    kept = kept_results(protenix_results(small, mixed_input()))
    kept |= {f"few atoms, {name}": values for name, values in few.items() if name in KEPT_OF_FEW}
    numbers = {name: values.numpy() for name, values in kept.items()}
    np.savez_compressed(FAMILY_GOLDENS / "protenix.npz", **numbers)


if __name__ == "__main__":
    main()
