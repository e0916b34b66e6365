"""Writes the reference numbers of OpenFold3: `python -m tests.oracles.write_openfold3`.

Run it where the package is installed (`make test-oracles` makes such an environment). Parameters
come from fixed random streams (`mixed_input.seeded_parameters`) and are not kept.
"""

import torch
from torch import nn

from tests.models.fold.family_results import write_goldens
from tests.models.fold.mixed_input import few_atoms, mixed_input
from tests.oracles.openfold3_package import (
    TWIN,
    VERSION,
    openfold3_network,
    openfold3_results,
    openfold3_state,
)

KEPT_OF_FEW = ("single", "denoised 0.5", "lddt")


def shapes(network: nn.Module) -> dict[str, list[int]]:
    """Names and shapes of all tensors, those of the denoiser once."""
    return {
        name: list(values.shape)
        for name, values in network.state_dict().items()
        if not name.startswith(TWIN) and name != VERSION
    }


def main() -> None:
    network = openfold3_network(reduced=True)
    openfold3_state(network)
    with torch.device("meta"):
        released = openfold3_network(reduced=False)
    few = openfold3_results(network, few_atoms())
    results = openfold3_results(network, mixed_input())
    results |= {f"few atoms, {name}": values for name, values in few.items() if name in KEPT_OF_FEW}
    write_goldens("openfold3", results, shapes(network), shapes(released))


if __name__ == "__main__":
    main()
