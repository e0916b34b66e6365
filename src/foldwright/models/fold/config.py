"""Sizes of the fold network and settings of its sampler."""

from pydantic import Field

from foldwright.models.fold.family import FAMILIES, Family, FamilyName
from foldwright.runtime.config import Config


class AtomConfig(Config):
    """Sizes shared by the atom encoders and the atom decoder."""

    channels: int = Field(default=128, ge=1, description="channels of one atom")
    pair_channels: int = Field(
        default=16, ge=1, description="channels of a pair of atoms in a window"
    )
    num_heads: int = Field(default=4, ge=1, description="attention heads")
    width: int = Field(default=128, ge=1, description="channels of all heads together")
    num_input_blocks: int = Field(
        default=3, ge=1, description="blocks of the encoder before the trunk"
    )
    num_diffusion_blocks: int = Field(
        default=3, ge=1, description="blocks of diffusion encoder, decoder"
    )


class DenoiserConfig(Config):
    """Sizes of the denoiser."""

    token_channels: int = Field(
        default=768, ge=1, description="channels of a token in the transformer"
    )
    single_channels: int = Field(
        default=384, ge=1, description="channels of the token conditioning"
    )
    pair_channels: int = Field(default=128, ge=1, description="channels of the pair conditioning")
    num_heads: int = Field(default=16, ge=1, description="attention heads")
    num_super_blocks: int = Field(
        default=6, ge=1, description="groups of blocks with one pair projection"
    )
    super_block_size: int = Field(default=4, ge=1, description="blocks in one group")


class FoldConfig(Config):
    """Sizes of the whole network; the defaults are those of the released parameters."""

    family: FamilyName = Field(default="alphafold3", description="whose weights it computes with")
    pair_channels: int = Field(default=128, ge=1, description="channels of a token pair")
    single_channels: int = Field(default=384, ge=1, description="channels of a token")
    msa_channels: int = Field(default=64, ge=1, description="channels of an alignment cell")
    template_channels: int = Field(default=64, ge=1, description="channels of a template pair")
    input_channels: int = Field(default=384, ge=1, description="channels of a token's own atoms")
    outer_channels: int = Field(default=32, ge=1, description="channels of the outer product mean")
    pair_heads: int = Field(default=4, ge=1, description="heads of the pair attentions")
    template_heads: int | None = Field(
        default=None, ge=1, description="the same for templates; none: as many"
    )
    template_head_width: int | None = Field(
        default=None, ge=1, description="channels of one of them; none: their share, at least 16"
    )
    template_triangle_channels: int | None = Field(
        default=None, ge=1, description="channels of a template's triangles; none: all of a pair"
    )
    msa_width: int | None = Field(
        default=None, ge=1, description="channels of all alignment heads; none: all of a cell"
    )
    msa_heads: int = Field(default=8, ge=1, description="heads of the alignment attention")
    single_heads: int = Field(default=16, ge=1, description="heads of the token attention")
    num_msa_blocks: int = Field(default=4, ge=0, description="blocks of the alignment stack")
    num_template_blocks: int = Field(default=2, ge=0, description="pair blocks per template")
    num_trunk_blocks: int = Field(default=48, ge=0, description="pairformer blocks of the trunk")
    num_confidence_blocks: int = Field(
        default=4, ge=0, description="pairformer blocks of the scores"
    )
    num_msa_rows: int = Field(default=1024, ge=1, description="alignment rows used in one pass")
    atoms: AtomConfig = AtomConfig()
    diffusion: DenoiserConfig = DenoiserConfig()

    @property
    def target_channels(self) -> int:
        """Width of the token features that enter the trunk: class, profile, deletions, atoms."""
        return 2 * self.differences.num_classes + 1 + self.input_channels

    @property
    def differences(self) -> Family:
        """What the family does otherwise than AlphaFold 3."""
        return FAMILIES[self.family]


class FoldSamplerConfig(Config):
    """Settings of a prediction (Abramson et al. 2024, supplement, algorithm 18)."""

    num_recycles: int = Field(
        default=10, ge=0, description="passes through the trunk after the first"
    )
    steps: int = Field(default=200, ge=1, description="denoising steps")
    gamma: float = Field(default=0.8, ge=0, description="share of noise added back before a step")
    gamma_min: float = Field(
        default=1.0, ge=0, description="noise level in Å below which none is added"
    )
    noise_scale: float = Field(default=1.003, ge=0, description="scale of the noise added back")
    step_scale: float = Field(default=1.5, gt=0, description="scale of every step")
