"""Settings of the peptide model: encoder, denoiser, decoder, noise process and loss."""

from typing import Any, Literal

from pydantic import Field, model_validator

from foldwright.diffusion.process import Parameterisation
from foldwright.diffusion.schedule import ScheduleName
from foldwright.runtime.config import Config

_DENOISER_PRESETS: dict[str, dict[str, Any]] = {
    "small": {"channels": 160, "num_layers": 5, "num_heads": 8, "expansion": 3},
    "structdiff": {"channels": 768, "num_layers": 12, "num_heads": 12, "expansion": 4},
}


def _require_divisible(part: str, channels: int, num_heads: int) -> None:
    step = 2 * num_heads  # rotary positions turn pairs of channels within each head
    if channels % step:
        raise ValueError(
            f"channels of the {part} must be a multiple of twice num_heads: found channels="
            f"{channels}, num_heads={num_heads}; write channels={step * (channels // step + 1)}"
        )


class EncoderConfig(Config):
    """What turns residues into latents."""

    kind: Literal["bundled", "esm2"] = Field(
        default="bundled", description="our masked language model, or an ESM-2 checkpoint"
    )
    channels: int = Field(
        default=128, ge=4, description="bundled: channels, which are the latents'"
    )
    num_layers: int = Field(default=4, ge=1, description="bundled: transformer blocks")
    num_heads: int = Field(default=8, ge=1, description="bundled: attention heads")
    expansion: int = Field(default=2, ge=1, description="bundled: channels within a block, times")
    checkpoint: str = Field(
        default="facebook/esm2_t6_8M_UR50D", description="esm2: name or folder of the checkpoint"
    )
    adaptation: Literal["frozen", "lora", "unfrozen"] = Field(
        default="frozen",
        description="whether diffusion training moves the encoder: not, by LoRA, whole",
    )
    lora_rank: int = Field(default=16, ge=1, description="esm2: rank of LoRA")
    lora_scale: float = Field(
        default=32.0, gt=0, description="esm2: LoRA's alpha; its update times a/r"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> "EncoderConfig":
        if self.kind == "bundled" and self.adaptation == "lora":
            raise ValueError("lora needs kind: esm2; write adaptation: unfrozen or frozen")
        _require_divisible("encoder", self.channels, self.num_heads)
        return self


class PeptideDenoiserConfig(Config):
    """Transformer that takes noise off latents.

    The word `preset: small` (the default sizes, for a CPU) or `preset: structdiff` (the seed's)
    stands for sizes, and is not kept; sizes that are written beside it win.
    """

    channels: int = Field(default=160, ge=4, description="channels per residue")
    num_layers: int = Field(default=5, ge=1, description="transformer blocks")
    num_heads: int = Field(default=8, ge=1, description="attention heads")
    expansion: int = Field(default=3, ge=1, description="channels within a transition, times")
    cross_attention: bool = Field(
        default=True, description="attend to structure features where a peptide has them"
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="dropout after attention and transition"
    )

    @model_validator(mode="before")
    @classmethod
    def _sizes_of_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "preset" not in values:
            return values
        name = values["preset"]
        if name not in _DENOISER_PRESETS:
            raise ValueError(f"preset is {name!r}; expected {' or '.join(_DENOISER_PRESETS)}")
        return _DENOISER_PRESETS[name] | {k: v for k, v in values.items() if k != "preset"}

    @model_validator(mode="after")
    def _heads_fit(self) -> "PeptideDenoiserConfig":
        _require_divisible("denoiser", self.channels, self.num_heads)
        return self


class DecoderConfig(Config):
    """What reads residues from latents."""

    channels: int = Field(default=128, ge=4, description="channels within")
    num_layers: int = Field(
        default=0, ge=0, description="transformer blocks that see other residues"
    )
    num_heads: int = Field(default=8, ge=1, description="attention heads of those blocks")

    @model_validator(mode="after")
    def _heads_fit(self) -> "DecoderConfig":
        _require_divisible("decoder", self.channels, self.num_heads)
        return self


class LatentDiffusionConfig(Config):
    """Noise process over latents."""

    num_steps: int = Field(default=1000, ge=2, description="timesteps of the training process")
    schedule: ScheduleName = Field(
        default="tanh",
        description="noise schedule; tanh spends its time where residues are undecided",
    )
    prediction: Parameterisation = Field(default="x0", description="what the network puts out")
    self_conditioning: bool = Field(
        default=True, description="feed the previous clean estimate back into the network"
    )


class PeptideConfig(Config):
    """The whole model."""

    max_length: int = Field(default=50, ge=1, description="longest peptide, in residues")
    encoder: EncoderConfig = Field(default=EncoderConfig(), description="latents")
    denoiser: PeptideDenoiserConfig = Field(default=PeptideDenoiserConfig(), description="denoiser")
    decoder: DecoderConfig = Field(default=DecoderConfig(), description="residues")
    diffusion: LatentDiffusionConfig = Field(
        default=LatentDiffusionConfig(), description="noise process"
    )


class PeptideLossConfig(Config):
    """Weights of the terms of the loss; the error of the clean estimate has weight 1."""

    residue_weight: float = Field(
        default=0.2, ge=0, description="cross-entropy of the residues read from the clean estimate"
    )
    decoder_weight: float = Field(
        default=0.2, ge=0, description="cross-entropy of the residues read from noised latents"
    )
    rise_epochs: int = Field(
        default=0,
        ge=0,
        description="epochs over which both weights rise from 0; 0 has them at once",
    )
    decoder_signal: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="least share of signal in the latents the decoder learns from",
    )
