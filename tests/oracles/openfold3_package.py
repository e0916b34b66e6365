"""OpenFold3's own network at reduced size, and our inputs as its features.

The package is imported here only. Its kernels are written for other machines: plain torch is asked
for, and parameters come from outside, so its slow initialisation is left out.
"""

import copy
from collections.abc import Iterator
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
from tests.models.fold.mixed_input import seeded_parameters

VERSION, TWIN = "version_tensor", "sample_diffusion."
NAMES_OF_OURS = (
    *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET"),
    *("PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "UNK", "GAP", "A", "G", "C", "U"),
    *("DA", "DG", "DC", "DT", "N", "DN"),
)
"""Residue of each of our 32 classes, as the package calls them."""

REDUCED: dict[str, Any] = {
    "shared": {"c_s_input": 24 + 65, "c_s": 32, "c_z": 32},
    "input_embedder": {"c_s_input": 24 + 65, "c_s": 32, "c_z": 32},
    "template": {
        "c_t": 16,
        "c_z": 32,
        "template_pair_embedder": {"c_in": 32, "c_out": 16},
        "template_pair_stack": {
            "c_t": 16,
            "c_hidden_tri_att": 16,
            "c_hidden_tri_mul": 16,
            "no_heads": 2,
            "no_blocks": 1,
        },
    },
    "msa": {
        "msa_module_embedder": {"c_m": 16, "c_s_input": 24 + 65},
        "msa_module": {
            "c_m": 16,
            "c_z": 32,
            "c_hidden_msa_att": 4,
            "c_hidden_opm": 6,
            "c_hidden_mul": 32,
            "c_hidden_pair_att": 16,
            "no_heads_msa": 4,
            "no_heads_pair": 2,
            "no_blocks": 2,
        },
    },
    "diffusion_module": {
        "diffusion_module": {"c_s": 32, "c_token": 48},
        "diffusion_conditioning": {"c_s_input": 24 + 65, "c_s": 32, "c_z": 32},
        "diffusion_transformer": {
            "c_a": 48,
            "c_s": 32,
            "c_z": 32,
            "c_hidden": 12,
            "no_heads": 4,
            "no_blocks": 4,
        },
    },
    "heads": {
        "pairformer_embedding": {"c_s_input": 24 + 65, "c_z": 32},
        **{head: {"c_z": 32} for head in ("pae", "pde", "distogram")},
        **{head: {"c_s": 32} for head in ("lddt", "experimentally_resolved")},
    },
}
"""Sizes in the package's own words, beside those of atoms and pairformers."""

_ATOMS = {"c_atom": 16, "c_atom_pair": 8, "c_hidden": 8, "no_heads": 2, "no_blocks": 2}
_PAIRFORMER = {
    "c_s": 32,
    "c_z": 32,
    "c_hidden_pair_bias": 8,
    "no_heads_pair_bias": 4,
    "c_hidden_mul": 32,
    "c_hidden_pair_att": 16,
    "no_heads_pair": 2,
}


def openfold3_network(*, reduced: bool) -> nn.Module:
    """Build the package's network in its default configuration, or a small one of the same form."""
    from openfold3.projects.of3_all_atom.config.model_config import model_config
    from openfold3.projects.of3_all_atom.model import OpenFold3

    config = copy.deepcopy(model_config)
    config.settings.memory.eval.use_triton_triangle_kernels = False
    if reduced:
        parts = config.architecture
        _change(parts, REDUCED)
        _change(parts.pairformer, {**_PAIRFORMER, "no_blocks": 2})
        _change(parts.heads.pairformer_embedding.pairformer, {**_PAIRFORMER, "no_blocks": 1})
        _change(parts.input_embedder.atom_attn_enc, {**_ATOMS, "c_s": 32, "c_z": 32, "c_token": 24})
        denoiser = parts.diffusion_module
        _change(denoiser.atom_attn_enc, {**_ATOMS, "c_s": 32, "c_z": 32, "c_token": 48})
        _change(denoiser.atom_attn_dec, {**_ATOMS, "c_token": 48})
    with _empty_initialisation():
        network: nn.Module = OpenFold3(config)
    return network.eval().requires_grad_(False)


def openfold3_state(network: nn.Module) -> dict[str, Tensor]:
    """Give the network seeded parameters, the same under both names of the denoiser."""
    state = network.state_dict()
    shapes = {name: tuple(values.shape) for name, values in state.items() if name != VERSION}
    drawn = seeded_parameters({name.removeprefix(TWIN): shape for name, shape in shapes.items()})
    given = state | {name: drawn[name.removeprefix(TWIN)] for name in shapes}
    network.load_state_dict(given)
    return given


def openfold3_features(inputs: FoldInputs) -> dict[str, Tensor]:
    """Inputs as AlphaFold 3 featurises them, as the package's features of a batch of one."""
    reference, tokens = inputs.reference, inputs.tokens
    slots = reference.real.flatten().nonzero().squeeze(1)
    counts = reference.real.sum(1)
    features = {
        "token_index": tokens.index,
        "residue_index": tokens.residue_index,
        "asym_id": tokens.asym_id,
        "entity_id": tokens.entity_id,
        "sym_id": tokens.sym_id,
        "token_mask": tokens.mask.float(),
        "num_atoms_per_token": counts,
        "atom_to_token_index": slots // 24,
        "atom_mask": torch.ones(len(slots)),
        "restype": one_hot(_kinds(tokens.residue_class, inputs), 32).float(),
        "profile": _profile(inputs),
        "deletion_mean": inputs.alignment.deletion_mean.masked_fill(_bare(inputs), 0),
        "token_bonds": _bonds(inputs),
        "ref_pos": reference.positions.flatten(0, 1)[slots],
        "ref_mask": reference.mask.flatten()[slots].float(),
        "ref_charge": reference.charge.flatten()[slots],
        "ref_element": one_hot(reference.element.flatten()[slots].long() - 1, 119),
        "ref_atom_name_chars": one_hot(reference.name_characters.flatten(0, 1)[slots].long(), 64),
        "ref_space_uid": reference.space_uid.flatten()[slots],
        **_alignment(inputs),
        **_templates(inputs),
    }
    return {name: values[None] for name, values in features.items()}


@torch.no_grad()
def openfold3_results(network: nn.Module, inputs: FoldInputs) -> dict[str, Tensor]:
    """Run every part once, as `our_results` does; the package is given its own representations."""
    features = openfold3_features(inputs)
    real = inputs.reference.real
    trunk = network.run_trunk(features, PASSES)
    found = {"pair": trunk[2][0], "single": trunk[1][0]}
    for level in LEVELS:
        found[f"denoised {level}"] = network.diffusion_module(
            batch=features,
            xl_noisy=noisy_positions(inputs, level)[real][None],
            token_mask=features["token_mask"],
            atom_mask=features["atom_mask"],
            t=torch.tensor([level]),
            si_input=trunk[0],
            si_trunk=trunk[1],
            zij_trunk=trunk[2],
            use_conditioning=True,
        )[0]
    shown = inputs.pseudo_beta.take(scored_positions(inputs), dims=2)
    logits = openfold3_scores(network, features, trunk, shown)
    return found | expected_scores(logits) | {"distogram": logits["distogram"]}


def openfold3_scores(
    network: nn.Module,
    features: dict[str, Tensor],
    trunk: tuple[Tensor, Tensor, Tensor],
    shown: Tensor,
) -> dict[str, Tensor]:
    """Logits of all scores for positions of the tokens' representative atoms."""
    target, single, pair = trunk
    mask, heads = features["token_mask"], network.aux_heads
    pair_mask = mask[..., None] * mask[..., None, :]
    scored = heads.pairformer_embedding(target, single, pair, shown[None], mask, pair_mask)
    places = torch.arange(heads.max_atoms_per_token)
    real = (places < features["num_atoms_per_token"][..., None]).flatten(1)
    return {
        "lddt": heads.plddt(scored[0], real)[0],
        "resolved": heads.experimentally_resolved(scored[0], real)[0],
        "aligned error": heads.pae(scored[1])[0],
        "distance error": heads.pde(scored[1])[0],
        "distogram": heads.distogram(pair)[0],
    }


def _change(settings: Any, changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            _change(settings[key], value)
        else:
            assert key in settings, key
            settings[key] = value


@contextmanager
def _empty_initialisation() -> Iterator[None]:
    """Leave out the package's slow normal draws: every parameter is given afterwards."""
    from openfold3.core.model.primitives import initialization, linear

    places = [place for place in (initialization, linear) if hasattr(place, "trunc_normal_init_")]
    kept = initialization.trunc_normal_init_
    for place in places:
        place.trunc_normal_init_ = lambda *_, **__: None
    try:
        yield
    finally:
        for place in places:
            place.trunc_normal_init_ = kept


def _order() -> Tensor:
    """The package's class of each of ours."""
    from openfold3.core.data.resources.residues import STANDARD_RESIDUES_WITH_GAP_3

    return torch.tensor([STANDARD_RESIDUES_WITH_GAP_3.index(name) for name in NAMES_OF_OURS])


def _dna(inputs: FoldInputs) -> Tensor:
    classes = torch.tensor([NAMES_OF_OURS.index(name) for name in ("DA", "DG", "DC", "DT")])
    known = torch.isin(inputs.tokens.residue_class, classes)
    return torch.isin(inputs.tokens.asym_id, inputs.tokens.asym_id[known])


def _kinds(classes: Tensor, inputs: FoldInputs) -> Tensor:
    """Classes of the package; a base that AlphaFold 3 does not know is DNA's in chains of DNA."""
    unknown, unknown_dna = NAMES_OF_OURS.index("N"), NAMES_OF_OURS.index("DN")
    return _order()[torch.where((classes == unknown) & _dna(inputs), unknown_dna, classes)]


def _bare(inputs: FoldInputs) -> Tensor:
    """Tokens of chains that the package does not align: DNA and ligands."""
    several = inputs.reference.real.sum(1) > 1
    return _dna(inputs) | ~torch.isin(inputs.tokens.asym_id, inputs.tokens.asym_id[several])


def _profile(inputs: FoldInputs) -> Tensor:
    order, profile = _order(), inputs.alignment.profile
    turned = torch.zeros(len(profile), 32)
    turned[:, order[:31]] = profile
    turned[_bare(inputs)] = 0
    return turned


def _bonds(inputs: FoldInputs) -> Tensor:
    n = len(inputs.tokens)
    matrix = torch.zeros(n, n)
    first, second = inputs.bonds.T
    matrix[first, second] = matrix[second, first] = 1
    return matrix


def _alignment(inputs: FoldInputs) -> dict[str, Tensor]:
    bare = _bare(inputs)
    deletions = inputs.alignment.deletions.float().masked_fill(bare, 0)
    letters = _order()[inputs.alignment.rows.masked_fill(bare, NAMES_OF_OURS.index("GAP"))]
    return {
        "msa": one_hot(letters, 32).float(),
        "has_deletion": deletions.clamp(0, 1),
        "deletion_value": torch.atan(deletions / 3) * (2 / np.pi),
        "msa_mask": inputs.alignment.mask.float(),
    }


def _templates(inputs: FoldInputs) -> dict[str, Tensor]:
    """Geometry of the templates by the package's own functions; tokens without one are gaps."""
    from openfold3.core.data.primitives.featurization.template import (
        create_template_distogram,
        create_template_restype,
        create_template_unit_vector,
    )

    given = inputs.templates
    names = np.array(NAMES_OF_OURS)[given.residue_class.numpy()]
    names[~given.mask.any(-1).numpy()] = "GAP"
    shown = np.where(names == "GLY", 1, 4)[..., None]
    mask = given.mask.numpy()
    positions = np.where(mask[..., None], given.positions.numpy(), np.nan).astype(float)
    beta = np.take_along_axis(positions, shown[..., None], axis=2)[:, :, 0]
    has_beta = np.take_along_axis(mask, shown, axis=2)[:, :, 0].astype(np.float32)
    has_frame = mask[:, :, :3].all(-1).astype(np.float32)
    asym = inputs.tokens.asym_id
    same_chain = (asym[:, None] == asym[None])[None, ..., None]
    return {
        "template_restype": torch.stack([create_template_restype(row, has_beta) for row in names]),
        "template_pseudo_beta_mask": torch.from_numpy(has_beta),
        "template_backbone_frame_mask": torch.from_numpy(has_frame),
        "template_distogram": create_template_distogram(beta, has_beta, same_chain),
        "template_unit_vector": create_template_unit_vector(
            positions[:, :, :3], torch.from_numpy(has_frame), same_chain
        ),
    }
