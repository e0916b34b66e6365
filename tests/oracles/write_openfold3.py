"""Writes the reference numbers of OpenFold3: `python -m tests.oracles.write_openfold3`.

Run it where the package is installed (`make test-oracles` makes such an environment); where that is
version 0.4, the numbers of the preview weights are written. Parameters
come from fixed random streams (`mixed_input.seeded_parameters`) and are not kept.
"""

import torch
from torch import nn

from tests.models.fold.family_results import write_goldens, write_results
from tests.models.fold.mixed_input import few_atoms, mixed_input
from tests.oracles.openfold3_package import (
    TWIN,
    VERSION,
    openfold3_network,
    openfold3_results,
    openfold3_state,
)

PREVIEW = "diffusion_module.diffusion_transformer.blocks.0.attention_pair_bias.layer_norm_z.weight"
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
    kept = {name: few[name] for name in KEPT_OF_FEW}
    if PREVIEW in network.state_dict():
        write_results("openfold3-preview", kept)
        return
    results |= {f"few atoms, {name}": values for name, values in kept.items()}
    write_goldens("openfold3", results, shapes(network), shapes(released))


if __name__ == "__main__":
    main()
