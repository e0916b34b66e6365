"""AdamW, and its state as named tensors."""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from foldwright.training.config import OptimiserConfig

_SEPARATOR = "|"
_FUSED_ON = ("cuda", "cpu")


def build_optimiser(module: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters; only matrices are decayed."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in _FUSED_ON for parameter in trainable)
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=fused
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(
    optimiser: torch.optim.Optimizer, module: nn.Module
) -> dict[str, Shaped[Tensor, "..."]]:
    """Return the state of the optimiser by the names of the parameters it belongs to."""
    tensors = {}
    for name, parameter in _trained(module):
        for kind, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{name}{_SEPARATOR}{kind}"] = value
    return tensors


def restore_optimiser(
    optimiser: torch.optim.Optimizer,
    module: nn.Module,
    tensors: Mapping[str, Shaped[Tensor, "..."]],
) -> None:
    """Put back what `optimiser_tensors` returned."""
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, kind = key.rsplit(_SEPARATOR, 1)
        by_name.setdefault(name, {})[kind] = value
    names = {id(parameter): name for name, parameter in _trained(module)}
    ordered = [names[id(p)] for group in optimiser.param_groups for p in group["params"]]
    state = {i: by_name[name] for i, name in enumerate(ordered) if name in by_name}
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _trained(module: nn.Module) -> Iterable[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)
