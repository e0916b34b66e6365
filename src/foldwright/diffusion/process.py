"""The Gaussian noising process: marginals, conversions and posteriors. It knows no network."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from foldwright.diffusion.schedule import Schedule

Parameterisation = Literal["epsilon", "x0", "v"]

CLEAN = -1
"""The timestep of noise-free data, one below the least noisy timestep 0."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network believes about a noisy sample: its clean form and its noise.

    Both describe the same belief: `x_t = sqrt(abar) x0 + sqrt(1 - abar) epsilon`.
    """

    x0: Float[Tensor, "b *d"]
    epsilon: Float[Tensor, "b *d"]


def broadcast_to_sample(
    coefficient: Float64[Tensor, "b"], sample: Float[Tensor, "b *d"]
) -> Float[Tensor, "b *ones"]:
    """Bring one number per batch item to the dtype, device and rank of `sample`.

    The one place where per-item times meet coordinates. The dtype is changed before the device,
    since some devices have no float64.
    """
    shape = (-1,) + (1,) * (sample.ndim - 1)
    return coefficient.to(sample.dtype).to(sample.device).reshape(shape)


class GaussianProcess:
    """Variance-preserving diffusion, `q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I)`.

    Timesteps are int64, one per batch item, from `CLEAN` (-1: no noise) to `num_timesteps - 1`.
    Coefficients are formed in float64 and rounded once. Ho et al. 2020, equation 4.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        clean = torch.ones(1, dtype=torch.float64)
        self._alpha_bars = {torch.device("cpu"): torch.cat([clean, schedule.alpha_bars])}

    @property
    def num_timesteps(self) -> int:
        """Number of noisy timesteps."""
        return self.schedule.num_timesteps

    def alpha_bar(self, timestep: Int64[Tensor, "b"]) -> Float64[Tensor, "b"]:
        """Share of variance that is signal; 1 at `CLEAN`.

        A timestep out of range raises RuntimeError.
        """
        # MPS has no float64: its coefficients are formed on the CPU.
        index = (timestep.cpu() if timestep.device.type == "mps" else timestep) - CLEAN
        if index.device not in self._alpha_bars:
            cpu_table = self._alpha_bars[torch.device("cpu")]
            self._alpha_bars[index.device] = cpu_table.to(index.device)
        # Unlike indexing, gather refuses negative positions instead of counting from the end.
        return self._alpha_bars[index.device].gather(0, index)

    def snr(self, timestep: Int64[Tensor, "b"]) -> Float64[Tensor, "b"]:
        """Signal-to-noise ratio `abar / (1 - abar)`, infinite at `CLEAN`."""
        alpha_bar = self.alpha_bar(timestep)
        return alpha_bar / (1.0 - alpha_bar)

    def add_noise(
        self,
        x0: Float[Tensor, "b *d"],
        noise: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
    ) -> Float[Tensor, "b *d"]:
        """Draw from `q(x_t | x_0)` with the given standard normal noise (zero it on padding)."""
        signal, spread = self._scales(timestep, x0)
        return signal * x0 + spread * noise

    def x0_from_epsilon(
        self,
        x: Float[Tensor, "b *d"],
        epsilon: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
    ) -> Float[Tensor, "b *d"]:
        """Clean estimate from a noise estimate; errors grow by up to `1 / sqrt(abar)`."""
        alpha_bar = self.alpha_bar(timestep)
        recip = broadcast_to_sample(alpha_bar.rsqrt(), x)
        return recip * x - broadcast_to_sample((1.0 / alpha_bar - 1.0).sqrt(), x) * epsilon

    def epsilon_from_x0(
        self,
        x: Float[Tensor, "b *d"],
        x0: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
    ) -> Float[Tensor, "b *d"]:
        """Noise estimate from a clean estimate; undefined (infinite) at `CLEAN`."""
        signal, spread = self._scales(timestep, x)
        return (x - signal * x0) / spread

    def v_from_x0_epsilon(
        self,
        x0: Float[Tensor, "b *d"],
        epsilon: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
    ) -> Float[Tensor, "b *d"]:
        """Velocity `sqrt(abar) epsilon - sqrt(1 - abar) x0`. Salimans and Ho 2022, section 4."""
        signal, spread = self._scales(timestep, x0)
        return signal * epsilon - spread * x0

    def target(
        self,
        kind: Parameterisation,
        x0: Float[Tensor, "b *d"],
        epsilon: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
    ) -> Float[Tensor, "b *d"]:
        """What a network of parameterisation `kind` should output for this clean-noise pair."""
        if kind == "epsilon":
            return epsilon
        if kind == "x0":
            return x0
        return self.v_from_x0_epsilon(x0, epsilon, timestep)

    def prediction(
        self,
        kind: Parameterisation,
        x: Float[Tensor, "b *d"],
        output: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
    ) -> Prediction:
        """Read a network output of parameterisation `kind` at the noisy sample `x`."""
        if kind == "epsilon":
            return Prediction(self.x0_from_epsilon(x, output, timestep), output)
        if kind == "x0":
            return Prediction(output, self.epsilon_from_x0(x, output, timestep))
        signal, spread = self._scales(timestep, x)
        return Prediction(signal * x - spread * output, spread * x + signal * output)

    def posterior(
        self,
        x: Float[Tensor, "b *d"],
        x0: Float[Tensor, "b *d"],
        timestep: Int64[Tensor, "b"],
        earlier: Int64[Tensor, "b"],
    ) -> tuple[Float[Tensor, "b *d"], Float64[Tensor, "b"]]:
        """Mean and variance of `q(x_s | x_t, x_0)` for any less noisy timestep `earlier` = s.

        `earlier` may skip timesteps and may be `CLEAN`, where the result is `x0` with variance 0.
        Ho et al. 2020, equations 6 and 7, with `alpha = abar_t / abar_s`.
        """
        alpha_bar, alpha_bar_earlier = self.alpha_bar(timestep), self.alpha_bar(earlier)
        alpha = alpha_bar / alpha_bar_earlier
        on_x0 = alpha_bar_earlier.sqrt() * (1.0 - alpha) / (1.0 - alpha_bar)
        on_x = alpha.sqrt() * (1.0 - alpha_bar_earlier) / (1.0 - alpha_bar)
        mean = broadcast_to_sample(on_x0, x) * x0 + broadcast_to_sample(on_x, x) * x
        return mean, (1.0 - alpha) * (1.0 - alpha_bar_earlier) / (1.0 - alpha_bar)

    def _scales(
        self, timestep: Int64[Tensor, "b"], sample: Float[Tensor, "b *d"]
    ) -> tuple[Tensor, Tensor]:
        alpha_bar = self.alpha_bar(timestep)
        signal = broadcast_to_sample(alpha_bar.sqrt(), sample)
        return signal, broadcast_to_sample((1.0 - alpha_bar).sqrt(), sample)
