"""The callables between a sampler and a network, and wrappers around them."""

from collections.abc import Callable

from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.process import GaussianProcess, Prediction

Denoise = Callable[[Tensor, Tensor], Prediction]
"""`denoise(x (b, *d), timestep (b,) int64)`: what the network makes of a noisy sample."""


def with_projection(
    denoise: Denoise,
    process: GaussianProcess,
    project_x0: Callable[[Float[Tensor, "b *d"], Int64[Tensor, " b"]], Float[Tensor, "b *d"]],
) -> Denoise:
    """Correct every clean estimate before the sampler sees it, as geometric restraints do.

    `project_x0` gets the estimate and the timesteps. The noise estimate is made anew from the
    corrected one, so that both stay the same belief.
    """

    def projected(x: Float[Tensor, "b *d"], timestep: Int64[Tensor, "b"]) -> Prediction:
        x0 = project_x0(denoise(x, timestep).x0, timestep)
        return Prediction(x0, process.epsilon_from_x0(x, x0, timestep))

    return projected


def with_step_callback(denoise: Denoise, on_step: Callable[[int], None]) -> Denoise:
    """Call `on_step(timestep)` once per step of the grid, when its first evaluation is done.

    Samplers of second order evaluate a timestep twice; only the first counts.
    """
    reported: list[int] = []

    def observed(x: Float[Tensor, "b *d"], timestep: Int64[Tensor, "b"]) -> Prediction:
        prediction = denoise(x, timestep)
        now = int(timestep[0])
        if not reported or now < reported[-1]:
            reported.append(now)
            on_step(now)
        return prediction

    return observed
