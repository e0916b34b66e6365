"""Settings of the backbone network, its noise process and its loss."""

from typing import Literal

from pydantic import Field, model_validator

from foldwright.nn.layer_sharing import CHOICES, layer_order
from foldwright.nn.neighbours import NeighbourChoice
from foldwright.runtime.config import Config


class GenieConfig(Config):
    """Sizes of the denoiser; the defaults are those of the published Genie models."""

    max_length: int = Field(256, ge=8, description="longest chain, in residues")
    c_s: int = Field(128, ge=1, description="single representation channels")
    c_p: int = Field(128, ge=1, description="pair representation channels")
    c_position: int = Field(128, ge=2, description="position encoding channels")
    c_timestep: int = Field(128, ge=2, description="timestep encoding channels")
    relative_position_clip: int = Field(32, ge=1, description="largest residue offset told apart")
    template: Literal["distance", "geometry"] = Field(
        "distance",
        description="pair input from coordinates: one distance (Genie) or distance, direction and "
        "relative rotation",
    )
    pair: Literal["dense", "factorized", "sparse"] = Field(
        "dense",
        description="pair representation: dense (Genie), two factors, or neighbours only; memory "
        "of the last two is linear in the length",
    )
    pair_rank: int = Field(4, ge=1, description="rank of factorised pairs")
    pair_recompression: Literal["mix", "truncated"] = Field(
        "mix",
        description="how a sum of factorised pairs gets its rank back: by a learned mix, or as the "
        "best pair of that rank",
    )
    pair_neighbours: int = Field(
        32, ge=1, description="neighbours of sparse pairs, and of the features of factorised ones"
    )
    neighbour_choice: NeighbourChoice = Field(
        "hybrid",
        description="neighbours by coordinate, by sequence, or hybrid: a window along the chain "
        "and the nearest in space",
    )
    num_pair_layers: int = Field(5, ge=0, description="pair transform layers")
    triangle_multiplication: bool = Field(True, description="include both triangle multiplications")
    triangle_attention: bool | Literal["axial"] = Field(
        False,
        description="include both triangle attentions; axial: along rows and columns without the "
        "third edge",
    )
    c_triangle_multiplication: int = Field(128, ge=1, description="triangle product channels")
    c_triangle_attention: int = Field(32, ge=1, description="triangle attention channels per head")
    num_triangle_heads: int = Field(4, ge=1, description="triangle attention heads")
    pair_expansion: int = Field(4, ge=1, description="pair transition expansion")
    pair_dropout: float = Field(0.25, ge=0, lt=1, description="row and column dropout")
    num_structure_layers: int = Field(5, ge=1, description="structure layers")
    num_structure_blocks: int = Field(1, ge=1, description="passes through the same layers")
    c_ipa: int = Field(16, ge=1, description="point attention channels per head")
    num_ipa_heads: int = Field(12, ge=1, description="point attention heads")
    num_qk_points: int = Field(4, ge=1, description="query and key points per head")
    num_v_points: int = Field(8, ge=1, description="value points per head")
    length_unit: float = Field(
        default=1.0,
        gt=0,
        description="Å per unit of length inside the structure net: 1 as Genie, 10 as AlphaFold 2",
    )
    ipa_dropout: float = Field(0.1, ge=0, lt=1, description="dropout after point attention")
    num_transition_layers: int = Field(1, ge=1, description="residual blocks per transition")
    transition_dropout: float = Field(0.1, ge=0, lt=1, description="dropout in the transition")
    self_conditioning: bool = Field(
        False, description="feed the previous clean estimate back as a pair feature"
    )
    transition: Literal["full", "bottleneck", "depthwise"] = Field(
        "full",
        description="transition of the pair layers: expansion (Genie), contraction, or convolution "
        "of each channel on its own; depthwise needs dense or factorised pairs",
    )
    residual_streams: int = Field(
        1,
        ge=1,
        description="residual streams of both stacks, mixed by doubly stochastic maps (mHC); "
        "1 is the plain residual",
    )
    sinkhorn_iterations: int = Field(
        20, ge=1, description="rounds that make the maps of the streams doubly stochastic"
    )
    layer_sharing: str = Field(
        "none",
        description=f"layers of both stacks that share weights: {CHOICES}",
    )
    checkpoint_pairs: bool | Literal["auto"] = Field(
        "auto",
        description="recompute pair layers in the backward pass; auto: as many as the free memory "
        "asks for",
    )

    @model_validator(mode="after")
    def _transition_and_sharing_exist(self) -> "GenieConfig":
        if self.pair == "sparse" and self.transition == "depthwise":
            raise ValueError(
                "transition: depthwise needs pairs on a grid, which pair: sparse has not; "
                "write transition: bottleneck, or pair: dense or factorized"
            )
        layer_order(self.layer_sharing, 0)
        return self


class DiffusionConfig(Config):
    """Noise process and what the network is asked to predict."""

    num_steps: int = Field(1000, ge=2, description="timesteps of the training process")
    schedule: Literal["cosine", "linear", "karras"] = Field(
        "cosine", description="noise schedule; karras spaces noise levels by a power law"
    )
    prediction: Literal["epsilon", "x0", "v"] = Field(
        "epsilon", description="what the displacement of the network means"
    )
    coordinate_scale: float = Field(
        1.0, gt=0, description="Å per unit of the process; 1 adds noise of 1 Å, as Genie does"
    )
    compat: Literal["genie-1"] | None = Field(
        None, description="repeat what the original program does with centring and padding"
    )


class RegulariserConfig(Config):
    """Weights of optional terms against instability; zero leaves a term out."""

    residual_balance_weight: float = Field(
        default=0.0,
        ge=0,
        description="streams: share of a layer's update against its input, around half",
    )
    norm_preservation_weight: float = Field(
        default=0.0,
        ge=0,
        description="streams: growth or loss of their norm in a layer beyond 20 %",
    )
    activation_weight: float = Field(
        default=0.0, ge=0, description="streams: mean square of a layer's input"
    )
    norm_ratio_weight: float = Field(
        default=0.0,
        ge=0,
        description="length of the prediction against the target's, stricter on longer chains",
    )
    magnitude_weight: float = Field(
        default=0.0, ge=0, description="length of the prediction beyond 10 units of the process"
    )
    error_smoothness_weight: float = Field(
        default=0.0, ge=0, description="change of the error from residue to residue"
    )
    energy_weight: float = Field(
        default=0.0, ge=0, description="squared length of a whole prediction against the target's"
    )


class LossConfig(Config):
    """Terms of the training loss; weights of zero leave a term out."""

    kind: Literal["distance", "mse"] = Field(
        "distance", description="error of the prediction: mean length (Genie) or mean square"
    )
    local_geometry_weight: float = Field(
        0.0, ge=0, description="error of distances to the next four residues in the clean estimate"
    )
    lddt_weight: float = Field(0.0, ge=0, description="smooth lDDT of the clean estimate")
    clean_estimate_noise: float = Field(
        2.0, gt=0, description="noise in Å at which the clean-estimate terms have half weight"
    )
    regularisers: RegulariserConfig = Field(
        RegulariserConfig(), description="optional terms against instability"
    )
