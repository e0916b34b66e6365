"""Single draws of peptides: from noise to latents to residues."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise, with_projection, with_step_callback
from foldwright.diffusion.guidance import (
    ConditionalDenoise,
    SelfConditionedDenoise,
    with_guidance,
    with_self_conditioning,
)
from foldwright.diffusion.noise import ItemNoise
from foldwright.diffusion.process import GaussianProcess, Prediction
from foldwright.diffusion.samplers import ddim, ddpm, dpm_solver, sde
from foldwright.diffusion.time_grid import build_grid
from foldwright.models.peptide.inputs import Condition
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.partial_design import (
    Template,
    hold_template,
    start_latents,
    template_projection,
)
from foldwright.models.peptide.peptide_settings import PeptidePlan
from foldwright.runtime.seeds import derive_seed, make_generator
from foldwright.sequence.residues import decode_sequence

ROWS = 8
"""A network pass is filled up to a multiple of this with repetitions: products of very few rows
take other kernels, which may round otherwise."""

_MOST_ROWS = {"cpu": 32}
_MOST_ROWS_ELSEWHERE = 512

_SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "ddpm": ddpm.sample,
    "ddim": ddim.sample,
    "dpm": dpm_solver.sample,
    "sde": sde.sample,
}


@dataclass(frozen=True)
class Draw:
    """One attempt at one peptide: everything that decides what comes out."""

    index: int
    attempt: int
    length: int
    run_seed: int

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from the other draws of the run."""
        return self.index, self.attempt

    @property
    def seed(self) -> int:
        """Seed of all its random numbers."""
        return derive_seed(self.run_seed, self.index, self.attempt)


def batches_of(draws: Sequence[Draw], device: torch.device) -> list[list[Draw]]:
    """Cut draws into batches of one length each, shorter peptides first.

    Without padding of lengths a peptide has the same bits in any company.
    """
    most = _MOST_ROWS.get(device.type, _MOST_ROWS_ELSEWHERE)
    by_length: dict[int, list[Draw]] = {}
    for draw in draws:
        by_length.setdefault(draw.length, []).append(draw)
    return [
        group[start : start + most]
        for _, group in sorted(by_length.items())
        for start in range(0, len(group), most)
    ]


def draw_sequences(
    model: PeptideModel,
    plan: PeptidePlan,
    batch: Sequence[Draw],
    *,
    device: torch.device,
    on_step: Callable[[int], None],
) -> list[str | None]:
    """Make the peptides of a batch of equal lengths; None for one whose numbers are not finite.

    Args:
        model: in evaluation mode, on `device`.
        plan: what they are asked to be.
        batch: at most as many draws as `batches_of` gives.
        device: where to compute.
        on_step: called with the timestep after each step.
    """
    count, length = len(batch), batch[0].length
    rows = [*batch, *([batch[0]] * (-count % ROWS))]
    noise = ItemNoise([make_generator(draw.seed) for draw in rows], [length] * len(rows))
    shape = (len(rows), length, model.latent_dim)
    mask = torch.ones(shape[:2], dtype=torch.bool, device=device)
    with torch.inference_mode():
        start, timesteps = _start(model, plan, rows, noise(torch.zeros(shape, device=device)))
        denoise = with_step_callback(_network(model, plan, length), on_step)
        options = plan.sampler.options
        extra = options if plan.sampler.sampler == "dpm" else {**options, "noise": noise}
        sample = _SAMPLERS[plan.sampler.sampler]
        latents = sample(denoise, model.process, start, timesteps=timesteps, **extra)
        logits = model.decode(latents, mask)
    tokens = _read(plan, logits.float().cpu(), rows)
    finite = torch.isfinite(logits).all(-1).all(-1).tolist()
    return [
        decode_sequence(row.numpy()) if good else None
        for row, good in zip(tokens[:count], finite[:count], strict=True)
    ]


def _start(
    model: PeptideModel, plan: PeptidePlan, rows: Sequence[Draw], noise: Float[Tensor, "b n d"]
) -> tuple[Float[Tensor, "b n d"], Int64[Tensor, " s"]]:
    """Noisy latents and the timesteps from theirs on."""
    grid = timesteps_of(model, plan)
    found = start_latents(plan.partial, [draw.index for draw in rows], _encoder(model, noise))
    if found is None:
        return noise, grid
    timestep = torch.full((len(rows),), int(grid[0]), device=noise.device)
    return model.process.add_noise(found, noise, timestep), grid


def timesteps_of(model: PeptideModel, plan: PeptidePlan) -> Int64[Tensor, " s"]:
    """The timesteps that sampling visits; those of a part of the way where something is kept."""
    grid = build_grid(model.process, plan.sampler.num_steps, spacing=plan.sampler.spacing)
    if plan.partial is None or plan.partial.similarity == 0:
        return grid
    first = round((1.0 - plan.partial.similarity) * (model.process.num_timesteps - 1))
    return torch.cat([torch.tensor([first]), grid[grid < first]])


def _encoder(
    model: PeptideModel, like: Float[Tensor, "b n d"]
) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda tokens, mask: model.encode(tokens.to(like.device), mask.to(like.device))


def _network(model: PeptideModel, plan: PeptidePlan, length: int) -> Denoise:
    """The model as samplers call it: guided, held to a template, with its last estimate."""
    guided = with_guidance(_conditional(model, plan, length), model.process, plan.guidance)
    if isinstance(plan.partial, Template):
        project = template_projection(plan.partial, model.encode, model.decode)
        guided = _projected(guided, model.process, project)
    if model.config.diffusion.self_conditioning:
        return with_self_conditioning(guided)
    return partial(_with_previous, guided, None)


def _projected(
    denoise: SelfConditionedDenoise,
    process: GaussianProcess,
    project: Callable[[Tensor, Tensor], Tensor],
) -> SelfConditionedDenoise:
    def corrected(x: Tensor, timestep: Tensor, previous: Tensor | None) -> Prediction:
        inner = partial(_with_previous, denoise, previous)
        return with_projection(inner, process, project)(x, timestep)

    return corrected


def _with_previous(
    denoise: SelfConditionedDenoise, previous: Tensor | None, x: Tensor, timestep: Tensor
) -> Prediction:
    return denoise(x, timestep, previous)


def _conditional(model: PeptideModel, plan: PeptidePlan, length: int) -> ConditionalDenoise:
    labels = torch.tensor(plan.labels, dtype=torch.int8)
    away = torch.tensor(plan.away_labels, dtype=torch.int8)
    secondary = torch.tensor(plan.secondary or (0,) * length)
    structure = plan.structure

    def denoise(
        x: Float[Tensor, "b n d"],
        timestep: Int64[Tensor, "b"],
        conditioned: Bool[Tensor, "b"],
        previous: Tensor | None,
    ) -> Prediction:
        asked = conditioned[:, None]
        condition = Condition(
            torch.where(asked, labels.to(x.device), away.to(x.device)),
            torch.where(asked, secondary.to(x.device), 0),
            None if structure is None else structure.to(x.device).repeat(len(x)).keep(conditioned),
        )
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return model.denoise(x, mask, timestep, condition, previous)

    return denoise


def _read(
    plan: PeptidePlan, logits: Float[Tensor, "b n r"], rows: Sequence[Draw]
) -> Int64[Tensor, "b n"]:
    """Residues from logits: the likeliest, or at a temperature drawn by the Gumbel trick."""
    temperature = plan.sampler.temperature
    if temperature > 0:
        # the largest of logit + Gumbel noise has the probability of the softmax
        noise = torch.stack([_gumbel(draw, logits.shape[1:]) for draw in rows])
        logits = logits + temperature * noise.to(logits.dtype)
    tokens = logits.argmax(-1)
    return hold_template(plan.partial, tokens) if isinstance(plan.partial, Template) else tokens


def _gumbel(draw: Draw, shape: Sequence[int]) -> Tensor:
    generator = make_generator(draw.seed, "residues")
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(uniform.clamp(min=math.ulp(0.0))))
