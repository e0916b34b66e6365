"""The denoiser together with its noise process: what is trained, sampled and saved."""

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from foldwright.diffusion.process import GaussianProcess, Prediction
from foldwright.diffusion.schedule import build_schedule
from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.inputs import centre
from foldwright.models.backbone.network import GenieDenoiser


class BackboneModel(nn.Module):
    """Estimates clean chains from noised ones.

    Coordinates of the process are Å divided by `coordinate_scale`; the network sees Å. With
    `compat="genie-1"` nothing is centred and positions are encoded relative to the padded length,
    as in the original program.
    """

    def __init__(self, genie: GenieConfig, diffusion: DiffusionConfig) -> None:
        super().__init__()
        self.genie = genie
        self.diffusion = diffusion
        self.process = GaussianProcess(build_schedule(diffusion.schedule, diffusion.num_steps))
        self.network = GenieDenoiser(genie, num_timesteps=diffusion.num_steps)

    @property
    def max_length(self) -> int:
        """Longest chain the position encoding was made for."""
        return self.genie.max_length

    @property
    def coordinate_scale(self) -> float:
        """Å per unit of the process."""
        return self.diffusion.coordinate_scale

    def denoise(
        self,
        x: Float[Tensor, "b n 3"],
        mask: Bool[Tensor, "b n"],
        timestep: Int64[Tensor, " b"],
        x0_self_condition: Float[Tensor, "b n 3"] | None = None,
        observed: list[Float[Tensor, "b terms"]] | None = None,
    ) -> Prediction:
        """Estimate clean positions and noise, all in units of the process.

        `x0_self_condition` is an earlier clean estimate; networks without self-conditioning
        ignore none and refuse one. `observed` gets the `stream_terms` of layers between residual
        streams.
        """
        noised = x * self.coordinate_scale
        previous = None if x0_self_condition is None else x0_self_condition * self.coordinate_scale
        original = self.diffusion.compat == "genie-1"
        moved = self.network(
            Rigid(frenet_frames(noised, mask), noised),
            timestep,
            mask,
            previous=previous,
            position_period=mask.shape[1] if original else None,
            observed=observed,
        )
        output = self._output(noised, moved.trans) / self.coordinate_scale
        if not original:
            output = centre(output, mask)
        return self.process.prediction(self.diffusion.prediction, x, output, timestep)

    def _output(self, noised: Tensor, moved: Tensor) -> Tensor:
        """Read the moved positions as the quantity that the network predicts.

        Genie's noise is what the network takes away, hence the sign; v has the same sign because
        it equals the noise where there is little of it.
        """
        return moved if self.diffusion.prediction == "x0" else noised - moved
