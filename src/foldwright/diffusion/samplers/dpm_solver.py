"""DPM-Solver++: few deterministic steps, the clean estimate extrapolated from earlier ones."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.process import CLEAN, GaussianProcess
from foldwright.diffusion.time_grid import iterate_steps


def sample(
    denoise: Denoise,
    process: GaussianProcess,
    x_init: Float[Tensor, "b *d"],
    *,
    timesteps: Int64[Tensor, "s"],
    order: int = 2,
) -> Float[Tensor, "b *d"]:
    """Carry `x_init`, noise at `timesteps[0]`, to clean data at one network call per step.

    `order` 1 is deterministic DDIM, 2 is DPM-Solver++(2M), 3 is DPM-Solver++(3M): the clean
    estimates of the last `order` steps are continued as a polynomial in the half log-SNR, and the
    flow through it is integrated exactly. The first steps have fewer estimates and a lower order;
    the last one, to `CLEAN`, is the clean estimate itself. Lu et al. 2022, DPM-Solver++, equations
    9 and 12 and algorithm 2. The stochastic form of order 2 is the sampler `sde`.
    """
    x = x_init
    known: list[tuple[float, Tensor]] = []
    for now, earlier in iterate_steps(process, timesteps):
        timestep = torch.full((x.shape[0],), now, device=x.device)
        x0 = denoise(x, timestep).x0
        if earlier == CLEAN:
            return x0
        start, end = _half_log_snr(process, now), _half_log_snr(process, earlier)
        known = [(start, x0), *known][:order]
        alpha_bar, alpha_bar_earlier = process.alpha_bar(torch.tensor([now, earlier])).tolist()
        x = math.sqrt((1.0 - alpha_bar_earlier) / (1.0 - alpha_bar)) * x
        weights = _weights([at for at, _ in known], end)
        for weight, (_, estimate) in zip(weights, known, strict=True):
            x = x + math.sqrt(alpha_bar_earlier) * weight * estimate
    return x


def _weights(nodes: list[float], end: float) -> list[float]:
    """Weight of the estimate at each node, the newest first, over the step from it to `end`.

    They are the integrals of `exp(l - end)` times the Lagrange polynomials through the nodes.
    """
    rise = end - nodes[0]
    moments = _moments(rise, len(nodes))
    places = [node - nodes[0] for node in nodes]
    weights = []
    for index, place in enumerate(places):
        coefficients, scale = [1.0], 1.0
        for other in places[:index] + places[index + 1 :]:
            # multiply the polynomial by (l - other)
            raised, kept = [0.0, *coefficients], [*coefficients, 0.0]
            coefficients = [a - other * b for a, b in zip(raised, kept, strict=True)]
            scale *= place - other
        terms = zip(coefficients, moments, strict=True)
        weights.append(sum(c * moment for c, moment in terms) / scale)
    return weights


def _moments(rise: float, count: int) -> list[float]:
    """Integrals over l from 0 to `rise` of `l**k exp(l - rise)`, k = 0 .. count - 1."""
    moments = [-math.expm1(-rise)]
    for power in range(1, count):
        moments.append(rise**power - power * moments[-1])
    return moments


def _half_log_snr(process: GaussianProcess, timestep: int) -> float:
    return 0.5 * float(process.snr(torch.tensor([timestep])).log())
