"""Protenix's own network at reduced size, and our inputs as its features.

The package is imported here only. Its kernels are written for other machines: plain torch is asked
for everywhere, and parameters come from outside, so its slow initialisation is left out.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from foldwright.models.fold.inputs import FoldInputs
from tests.models.fold.family_results import (
    LEVELS,
    PASSES,
    expected_scores,
    noisy_positions,
    scored_positions,
)
from tests.models.fold.mixed_input import DNA, GAP, UNKNOWN, UNKNOWN_BASE, seeded_parameters

CLASS_OF_OURS = (*range(21), 31, 21, 22, 23, 24, 26, 27, 28, 29, 25, 30)
"""Protenix's class of each of our 32: RNA and its unknown base, DNA and its, and the gap last."""

PUBLISHED = (
    "protenix_base_default_v0.5.0",
    "protenix_base_default_v1.0.0",
    "protenix-v2",
    "protenix_mini_default_v0.5.0",
    "protenix_tiny_default_v0.5.0",
)
"""Networks of the published checkpoints that are read, by the package's names."""

_CONSTANT = ("confidence_head.lower_bins", "confidence_head.upper_bins")

REDUCED: dict[str, Any] = {
    "c_s": 32,
    "c_z": 64,
    "c_s_inputs": 24 + 65,
    "c_atom": 16,
    "c_atompair": 8,
    "c_token": 24,
    "n_blocks": 2,
    "hidden_scale_up": True,
    "triangle_multiplicative": "torch",
    "triangle_attention": "torch",
    "model": {
        "template_embedder": {"c": 16, "n_blocks": 1, "hidden_scale_up": False},
        "msa_module": {"c_m": 24, "n_blocks": 2},
        "diffusion_module": {
            "c_token": 32,
            "atom_encoder": {"n_blocks": 2},
            "transformer": {"n_blocks": 4, "n_heads": 4},
            "atom_decoder": {"n_blocks": 2},
        },
        "confidence_head": {"n_blocks": 1},
    },
}
"""Sizes in the package's own words; the input encoder has its 3 blocks in any case."""


def protenix_network(model_name: str, changes: Mapping[str, Any]) -> nn.Module:
    """Build the package's network of a published name with some settings changed."""
    os.environ["LAYERNORM_TYPE"] = "torch"
    from configs.configs_base import configs as base
    from configs.configs_data import data_configs
    from configs.configs_inference import inference_configs
    from configs.configs_model_type import model_configs
    from protenix.config.config import parse_configs
    from protenix.model.protenix import Protenix

    merged = {**base, "data": data_configs, **inference_configs}
    settings = _merged(_merged(merged, model_configs[model_name]), changes)
    with _empty_initialisation():
        network: nn.Module = Protenix(
            parse_configs(settings, arg_str="", fill_required_with_null=True)
        )
    return network.eval().requires_grad_(False)


def protenix_features(inputs: FoldInputs) -> dict[str, Any]:
    """Inputs as AlphaFold 3 featurises them, as the package's features; padding is left out."""
    from protenix.model.protenix import update_input_feature_dict

    reference, tokens = inputs.reference, inputs.tokens
    real = reference.real
    slots = real.flatten().nonzero().squeeze(1)
    shown = torch.zeros(real.numel(), dtype=torch.bool)
    shown[inputs.pseudo_beta.index] = True
    features = {
        "token_index": tokens.index,
        "residue_index": tokens.residue_index,
        "asym_id": tokens.asym_id,
        "entity_id": tokens.entity_id,
        "sym_id": tokens.sym_id,
        "restype": one_hot(_theirs(tokens.residue_class, inputs), 32).float(),
        "profile": _profile(inputs),
        "deletion_mean": inputs.alignment.deletion_mean,
        "token_bonds": _bonds(inputs),
        "ref_pos": reference.positions.flatten(0, 1)[slots],
        "ref_mask": reference.mask.flatten()[slots].float(),
        "ref_charge": reference.charge.flatten()[slots],
        "ref_element": one_hot(reference.element.flatten()[slots] - 1, 128).float(),
        "ref_atom_name_chars": one_hot(
            reference.name_characters.flatten(0, 1)[slots].long(), 64
        ).float(),
        "ref_space_uid": reference.space_uid.flatten()[slots],
        "atom_to_token_idx": slots // 24,
        "atom_to_tokatom_idx": slots % 24,
        "distogram_rep_atom_mask": shown[slots].long(),
        **_alignment(inputs),
        **_templates(inputs),
    }
    return dict(_relative(update_input_feature_dict(features)))


def protenix_state(network: nn.Module) -> dict[str, Tensor]:
    """Give the network seeded parameters; the edges of its bins stay as they are."""
    state = network.state_dict()
    drawn = {name: tuple(values.shape) for name, values in state.items() if name not in _CONSTANT}
    given = state | seeded_parameters(drawn)
    network.load_state_dict(given)
    return given


@torch.no_grad()
def protenix_results(network: nn.Module, inputs: FoldInputs) -> dict[str, Tensor]:
    """Run every part once, as `our_results` does; the package is given its own representations."""
    features, real = protenix_features(inputs), inputs.reference.real
    target, single, pair = _trunk(network, features)
    parts = {"input_feature_dict": features, "s_inputs": target, "s_trunk": single}
    found = {"pair": pair, "single": single}
    for level in LEVELS:
        found[f"denoised {level}"] = network.diffusion_module(
            x_noisy=noisy_positions(inputs, level)[real][None],
            t_hat_noise_level=torch.tensor([level]),
            z_trunk=pair,
            pair_z=None,
            p_lm=None,
            c_l=None,
            **parts,
        )[0]
    names = ("lddt", "aligned error", "distance error", "resolved")
    scored = network.confidence_head(
        x_pred_coords=scored_positions(inputs)[real][None], z_trunk=pair, pair_mask=None, **parts
    )
    logits = {name: values[0] for name, values in zip(names, scored, strict=True)}
    return found | expected_scores(logits) | {"distogram": network.distogram_head(pair)}


def _trunk(network: nn.Module, features: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Token features, single and pair representation after some passes over all rows.

    The package draws how many alignment rows it takes, and which.
    """
    from protenix.model import utils

    drawn = utils.sample_indices
    utils.sample_indices = lambda n, **_: torch.arange(n)
    try:
        target, single, pair = network.get_pairformer_output(features, N_cycle=PASSES)
    finally:
        utils.sample_indices = drawn
    return target, single, pair


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if inner else value
    return merged


@contextmanager
def _empty_initialisation() -> Iterator[None]:
    """Leave out the package's slow normal draws: every parameter is given afterwards."""
    from protenix.model.modules import primitives
    from protenix.model.triangular import layers

    kept = layers.trunc_normal_init_
    layers.trunc_normal_init_ = primitives.trunc_normal_init_ = lambda *_, **__: None
    try:
        yield
    finally:
        layers.trunc_normal_init_ = primitives.trunc_normal_init_ = kept


def _dna(inputs: FoldInputs) -> Tensor:
    tokens = inputs.tokens
    known = (tokens.residue_class >= DNA[0]) & (tokens.residue_class < UNKNOWN_BASE)
    return torch.isin(tokens.asym_id, tokens.asym_id[known])


def _ligand(inputs: FoldInputs) -> Tensor:
    """The last chain is a ligand; the package aligns it as unknown residues."""
    return inputs.tokens.asym_id == inputs.tokens.asym_id[-1]


def _theirs(classes: Tensor, inputs: FoldInputs) -> Tensor:
    """Classes of the package; a base that AlphaFold 3 does not know is DNA's in chains of DNA."""
    found = torch.tensor(CLASS_OF_OURS)[classes]
    return torch.where((classes == UNKNOWN_BASE) & _dna(inputs), CLASS_OF_OURS[-1], found)


def _profile(inputs: FoldInputs) -> Tensor:
    profile = inputs.alignment.profile
    turned = torch.zeros(len(profile), 32)
    for row, dna, ligand, shares in zip(
        turned, _dna(inputs), _ligand(inputs), profile, strict=True
    ):
        places = list(CLASS_OF_OURS[:31])
        if dna:
            places[UNKNOWN_BASE] = CLASS_OF_OURS[-1]
        row[places] = shares
        if ligand:
            row[:] = one_hot(torch.tensor(UNKNOWN), 32)
    return turned


def _bonds(inputs: FoldInputs) -> Tensor:
    n = len(inputs.tokens)
    matrix = torch.zeros(n, n)
    first, second = inputs.bonds.T
    matrix[first, second] = matrix[second, first] = 1
    return matrix


def _alignment(inputs: FoldInputs) -> dict[str, Tensor]:
    deletions = inputs.alignment.deletions.float()
    return {
        "msa": torch.where(_ligand(inputs), UNKNOWN, _theirs(inputs.alignment.rows, inputs)),
        "has_deletion": deletions.clamp(0, 1),
        "deletion_value": torch.atan(deletions / 3) * (2 / np.pi),
    }


def _templates(inputs: FoldInputs) -> dict[str, Tensor]:
    """Geometry by the package's own functions; only the first chain has templates."""
    from protenix.data.template.template_featurizer import Templates

    given, chain = inputs.templates, inputs.tokens.asym_id
    classes = _theirs(given.residue_class, inputs)
    classes[0, chain != chain[0]] = CLASS_OF_OURS[GAP]
    made = Templates(
        classes.numpy(), given.positions.numpy(), given.mask.numpy()
    ).as_protenix_dict()
    return {name: torch.as_tensor(values) for name, values in made.items()}


def _relative(features: dict[str, Any]) -> Mapping[str, Any]:
    from protenix.model.modules.embedders import RelativePositionEncoding

    found: Mapping[str, Any] = RelativePositionEncoding().generate_relp(features)
    return found
