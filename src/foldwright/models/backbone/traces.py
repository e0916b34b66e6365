"""New C-alpha traces from a trained model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise, with_projection, with_step_callback
from foldwright.diffusion.noise import ItemNoise
from foldwright.diffusion.process import Prediction
from foldwright.diffusion.samplers import ddim, ddpm, ode, sde
from foldwright.diffusion.time_grid import build_grid
from foldwright.geometry.chain_restraints import restrain_trace
from foldwright.models.backbone.design_settings import SamplerPlan
from foldwright.models.backbone.model import BackboneModel
from foldwright.runtime.seeds import make_generator

# Å of noise; above it the estimate is a mean over many chains, which has no bonds to hold.
_RESTRAINED_BELOW = 2.0
_SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "ddpm": ddpm.sample,
    "ddim": ddim.sample,
    "ode": ode.sample,
    "sde": sde.sample,
}


@dataclass(frozen=True)
class DesignItem:
    """One design of a run: everything that decides what it will be."""

    index: int
    length: int
    seed: int

    @property
    def name(self) -> str:
        """Stem of its files."""
        return f"design_{self.index:05d}"


def sample_traces(
    model: BackboneModel,
    items: Sequence[DesignItem],
    plan: SamplerPlan,
    *,
    device: torch.device,
    on_step: Callable[[int], None],
) -> list[Float[Tensor, "_ 3"]]:
    """Draw one centred C-alpha trace (Å, on the CPU) per item, all in one batch.

    On the CPU the result of an item is bitwise independent of the other items: its noise comes
    from its own seed and the network sees it alone and unpadded, since matrix products of another
    shape may round otherwise. On other devices the network sees the padded batch.

    Args:
        model: in evaluation mode, on `device`.
        items: what to draw.
        plan: sampler and its numbers.
        device: where to compute.
        on_step: called with the timestep after each step.
    """
    process = model.process
    noise = ItemNoise(
        [make_generator(item.seed) for item in items], [item.length for item in items]
    )
    width = _padded_length(model, max(item.length for item in items))
    network = _network(model, items, device)
    if plan.restrain:
        network = with_projection(network, process, _restraint(model, items))
    denoise = with_step_callback(network, on_step)
    arguments = {**plan.options} if plan.sampler == "ode" else {**plan.options, "noise": noise}
    with torch.inference_mode():
        x = _SAMPLERS[plan.sampler](
            denoise,
            process,
            noise(torch.zeros(len(items), width, 3, device=device)),
            timesteps=build_grid(process, plan.num_steps, spacing=plan.spacing),
            **arguments,
        )
    ca = (x * model.coordinate_scale).cpu()
    rows = [row[: item.length] for row, item in zip(ca, items, strict=True)]
    if plan.restrain:
        # Samplers of second order end beside their last estimate.
        rows = [restrain_trace(row) for row in rows]
    return [row - row.mean(dim=0) for row in rows]


def _restraint(
    model: BackboneModel, items: Sequence[DesignItem]
) -> Callable[[Tensor, Tensor], Tensor]:
    """Chain geometry for the clean estimates of items with little noise left, one by one."""
    scale = model.coordinate_scale

    def project(x0: Float[Tensor, "b n 3"], timestep: Int64[Tensor, " b"]) -> Tensor:
        noise_level = scale * model.process.snr(timestep).rsqrt()
        held = x0.clone()
        for row, (item, level) in enumerate(zip(items, noise_level.tolist(), strict=True)):
            if level < _RESTRAINED_BELOW:
                held[row, : item.length] = restrain_trace(x0[row, : item.length] * scale) / scale
        return held

    return project


def _network(model: BackboneModel, items: Sequence[DesignItem], device: torch.device) -> Denoise:
    """The model as samplers call it, with its last clean estimate if it was trained with one."""
    lengths = torch.tensor([item.length for item in items], device=device)
    everything = slice(0, len(items))
    groups = [slice(i, i + 1) for i in range(len(items))] if device.type == "cpu" else [everything]
    previous: list[Tensor | None] = [None] * len(groups)

    def denoise(x: Float[Tensor, "b n 3"], timestep: Int64[Tensor, "b"]) -> Prediction:
        x0, epsilon = torch.zeros_like(x), torch.zeros_like(x)
        for number, rows in enumerate(groups):
            width = _padded_length(model, int(lengths[rows].max()))
            mask = torch.arange(width, device=device) < lengths[rows, None]
            part = model.denoise(x[rows, :width], mask, timestep[rows], previous[number])
            x0[rows, :width] = part.x0 * mask[..., None]
            epsilon[rows, :width] = part.epsilon * mask[..., None]
            if model.genie.self_conditioning:
                previous[number] = part.x0
        return Prediction(x0, epsilon)

    return denoise


def _padded_length(model: BackboneModel, longest: int) -> int:
    """Genie always samples at its full length, on which its position encoding depends."""
    return model.max_length if model.diffusion.compat == "genie-1" else longest
