"""How much of the spread of Gaussian data each sampler returns, at every length scale.

    python benchmarks/sampler_accuracy.py [--draws 40000]

The denoiser is exact, so all that is missing from 1.000 is the sampler's error. The spreads are
those of a protein: 20 Å is the whole chain, 0.1 Å a bond.
"""

import argparse

import torch
from torch import Tensor

from foldwright.diffusion.noise import ItemNoise
from foldwright.diffusion.process import GaussianProcess, Prediction, broadcast_to_sample
from foldwright.diffusion.samplers import ddim, ddpm, dpm_solver, ode, sde
from foldwright.diffusion.schedule import build_schedule
from foldwright.diffusion.time_grid import build_grid

SPREADS = torch.tensor([20.0, 5.0, 1.0, 0.3, 0.1], dtype=torch.float64)
PROCESS = GaussianProcess(build_schedule("cosine", 1000))


def denoise(x: Tensor, timestep: Tensor) -> Prediction:
    """Conditional mean of centred Gaussians."""
    alpha_bar = broadcast_to_sample(PROCESS.alpha_bar(timestep), x)
    gain = alpha_bar.sqrt() * SPREADS**2 / (alpha_bar * SPREADS**2 + 1 - alpha_bar)
    return Prediction(gain * x, PROCESS.epsilon_from_x0(x, gain * x, timestep))


def spread_ratio(sampler: str, num_steps: int, spacing: str, draws: int) -> Tensor:
    """Returned spread over true spread, for each scale."""
    noise = ItemNoise([torch.Generator().manual_seed(0)], [draws])
    x = noise(torch.zeros(1, draws, len(SPREADS), dtype=torch.float64))
    grid = build_grid(PROCESS, num_steps, spacing=spacing)  # type: ignore[arg-type]
    if sampler == "ode":
        return ode.sample(denoise, PROCESS, x, timesteps=grid)[0].std(0) / SPREADS
    if sampler == "dpm":
        return dpm_solver.sample(denoise, PROCESS, x, timesteps=grid)[0].std(0) / SPREADS
    run = {"ddpm": ddpm.sample, "ddim": ddim.sample, "sde": sde.sample}[sampler]
    return run(denoise, PROCESS, x, timesteps=grid, noise=noise)[0].std(0) / SPREADS


def main() -> None:
    """Print one line per sampler, number of steps and spacing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=40_000)
    draws = parser.parse_args().draws
    header = "  ".join(f"{spread:>5g} Å" for spread in SPREADS.tolist())
    print(f"{'sampler':8} {'steps':>5} {'spacing':8} {header}")
    for spacing in ("log_snr", "uniform"):
        for sampler in ("ddpm", "ddim", "dpm", "sde", "ode"):
            for num_steps in (20, 50, 100, 200):
                ratios = spread_ratio(sampler, num_steps, spacing, draws).tolist()
                line = "  ".join(f"{ratio:7.3f}" for ratio in ratios)
                print(f"{sampler:8} {num_steps:>5} {spacing:8} {line}")
    ratios = spread_ratio("ddpm", 1000, "uniform", draws).tolist()
    print(f"{'ddpm':8} {1000:>5} {'all':8} " + "  ".join(f"{ratio:7.3f}" for ratio in ratios))


if __name__ == "__main__":
    main()
