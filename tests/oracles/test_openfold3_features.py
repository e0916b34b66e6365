"""Inputs for OpenFold3 made from AlphaFold 3's features, against OpenFold3's own features.

Jobs and AlphaFold 3's features are reference material of the project. Chains stand in the job's
order there and sorted here; random conformers differ.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.family import FAMILIES
from foldwright.models.fold.family_inputs import family_inputs
from foldwright.models.fold.features import bond_matrix
from foldwright.models.fold.inputs import FoldInputs

# Only an absent package is skipped; one that lacks something of its own must fail.
if find_spec("openfold3") is None:
    reason = "the package openfold3 is not installed: make test-oracles"
    pytest.skip(reason, allow_module_level=True)
PARENTS = {"PSU": "U", "5MC": "C", "OMG": "G"}
"""What AlphaFold 3 has in the alignment for a modified residue, whatever the sequence says."""
JOBS = ("mixA", "example_modified_rna", "example_tetr_dimer_dna")


def package_features(job: dict[str, Any], folder: Path) -> dict[str, Tensor]:
    from openfold3.core.config.msa_pipeline_configs import MsaSampleProcessorInputInference
    from openfold3.core.data.pipelines.featurization import msa
    from openfold3.core.data.pipelines.featurization.conformer import (
        featurize_reference_conformers_of3,
    )
    from openfold3.core.data.pipelines.featurization.structure import featurize_structure_of3
    from openfold3.core.data.pipelines.sample_processing.msa import MsaSampleProcessorInference
    from openfold3.core.data.primitives.structure import query, tokenization
    from openfold3.projects.of3_all_atom.config.dataset_config_components import MSASettings
    from openfold3.projects.of3_all_atom.config.inference_query_format import Query

    asked = Query(chains=[chain(entry, folder) for entry in job["sequences"]])
    atoms, molecules = query.structure_with_ref_mols_from_query(query=asked)
    tokenization.tokenize_atom_array(atoms)
    tokenization.add_token_positions(atoms)
    count = tokenization.get_token_count(atoms)
    settings = MSASettings()
    rows = MsaSampleProcessorInference(config=settings)(
        input=MsaSampleProcessorInputInference.create_from_inference_query_entry(
            inference_query=asked
        )
    )
    featurizer = msa.MsaFeaturizerOF3(
        config=msa.MsaFeaturizerOF3Config(
            max_rows=settings.max_rows,
            max_rows_paired=settings.max_rows_paired,
            subsample_with_bands=settings.subsample_with_bands,
        )
    )
    return {
        **featurize_structure_of3(
            atom_array=atoms, n_tokens=count, is_gt=False, add_perm_features=False
        ),
        **featurize_reference_conformers_of3(
            processed_ref_mol_list=molecules, add_ref_space_uid_to_perm=False
        ),
        **featurizer(atom_array=atoms, msa_array_collection=rows, n_tokens=count),
    }


def chain(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One entry of the job as a chain of the package's queries."""
    ((kind, given),) = entry.items()
    found = {"molecule_type": kind, "chain_ids": given["id"]}
    if kind == "ligand":
        return found | {"ccd_codes": given["ccdCodes"]}
    changed = {
        change.get("ptmPosition", change.get("basePosition")): change.get(
            "ptmType", change.get("modificationType")
        )
        for change in given.get("modifications") or []
    }
    place = folder / f"chain{''.join(given['id'])}"
    place.mkdir()
    letters = list(given["sequence"])
    for position, name in changed.items():
        letters[position - 1] = PARENTS[name]
    rows = given.get("unpairedMsa") or f">query\n{''.join(letters)}\n"
    (place / "uniref90_hits.a3m").write_text(rows)
    return found | {
        "sequence": given["sequence"],
        "non_canonical_residues": changed or None,
        "main_msa_file_paths": [place] if kind != "dna" else None,
    }


def in_job_order(job: dict[str, Any], inputs: FoldInputs) -> Tensor:
    """Real tokens of the input, chains as the job has them."""
    ids = [given["id"] for entry in job["sequences"] for given in entry.values()]
    asked = [one for group in ids for one in ([group] if isinstance(group, str) else group)]
    held = sorted(asked, key=lambda name: (len(name), name[::-1]))
    asym, mask = inputs.tokens.asym_id, inputs.tokens.mask
    return torch.cat([((asym == held.index(n) + 1) & mask).nonzero()[:, 0] for n in asked])


@pytest.mark.parametrize("name", JOBS)
def test_features_are_the_packages(shared_golden: Path, tmp_path: Path, name: str) -> None:
    from openfold3.core.data.resources.residues import STANDARD_RESIDUES_WITH_GAP_3

    from tests.oracles.openfold3_package import NAMES_OF_OURS

    with np.load(shared_golden / "af3" / f"features_{name}.npz") as stored:
        job = json.loads(str(stored["in/json"]))
        arrays = {k[4:]: stored[k] for k in stored.files if k.startswith("out/")}
    inputs = family_inputs(inputs_from_arrays(arrays, name), FAMILIES["openfold3"])
    expected, order = package_features(job, tmp_path), in_job_order(job, inputs)
    places = torch.tensor([STANDARD_RESIDUES_WITH_GAP_3.index(one) for one in NAMES_OF_OURS])
    tokens, reference = inputs.tokens, inputs.reference
    assert torch.equal(places[tokens.residue_class[order]], expected["restype"].argmax(-1))
    assert torch.equal(tokens.residue_index[order], expected["residue_index"].long())
    for ours, theirs in (("asym_id", "asym_id"), ("entity_id", "entity_id")):
        found, given = getattr(tokens, ours)[order], expected[theirs]
        assert torch.equal(found[:, None] == found, given[:, None] == given)
    assert torch.equal(tokens.sym_id[order], expected["sym_id"].long())
    bonds = bond_matrix(inputs.bonds, len(tokens), torch.float32)[order][:, order]
    assert torch.equal(bonds, expected["token_bonds"].float())
    real = reference.real[order]
    assert torch.equal(real.sum(1), expected["num_atoms_per_token"].long())
    assert torch.equal(reference.element[order][real], expected["ref_element"].argmax(-1) + 1)
    names = reference.name_characters[order][real]
    assert torch.equal(names, expected["ref_atom_name_chars"].argmax(-1))
    assert torch.equal(reference.charge[order][real], expected["ref_charge"].float())
    space, given = reference.space_uid[order][real], expected["ref_space_uid"]
    assert torch.equal(space[:, None] == space, given[:, None] == given)
    profile = torch.zeros(len(order), 32)
    profile[:, places] = inputs.alignment.profile[order]
    torch.testing.assert_close(profile, expected["profile"].float())
    mean = inputs.alignment.deletion_mean[order]
    torch.testing.assert_close(mean, expected["deletion_mean"].float())
    first = places[inputs.alignment.rows[0, order]]
    assert torch.equal(first, expected["msa"][0].argmax(-1))
