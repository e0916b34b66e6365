"""Data whose denoiser is known exactly."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.noise import ItemNoise
from foldwright.diffusion.process import GaussianProcess, Prediction, broadcast_to_sample
from foldwright.diffusion.schedule import build_schedule


@dataclass(frozen=True, eq=False)
class GaussianData:
    """Component k of x0 is N(means[k], spreads[k]^2), diffused by a cosine process."""

    means: Tensor
    spreads: Tensor

    @staticmethod
    def process(num_timesteps: int = 1000) -> GaussianProcess:
        return GaussianProcess(build_schedule("cosine", num_timesteps))

    def denoiser(self, process: GaussianProcess) -> Denoise:
        """Conditional mean of x0 given x_t."""

        def denoise(x: Tensor, timestep: Tensor) -> Prediction:
            alpha_bar = broadcast_to_sample(process.alpha_bar(timestep), x)
            mean, variance = self.means.to(x.dtype), self.spreads.to(x.dtype) ** 2
            gain = alpha_bar.sqrt() * variance / (alpha_bar * variance + 1 - alpha_bar)
            x0 = mean + gain * (x - alpha_bar.sqrt() * mean)
            return Prediction(x0, process.epsilon_from_x0(x, x0, timestep))

        return denoise

    @staticmethod
    def noise(seeds: tuple[int, ...], lengths: tuple[int, ...]) -> ItemNoise:
        return ItemNoise([torch.Generator().manual_seed(seed) for seed in seeds], lengths)


@pytest.fixture
def gaussian() -> GaussianData:
    """Spreads from the size of a chain to that of a bond, in Å."""
    means = torch.tensor([5.0, -2.0, 0.3], dtype=torch.float64)
    return GaussianData(means, torch.tensor([10.0, 1.0, 0.1], dtype=torch.float64))
