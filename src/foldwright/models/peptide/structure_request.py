"""A predicted structure that peptides are asked to fit."""

from pathlib import Path

import numpy as np

from foldwright.models.peptide.features import StructureFeatures
from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.io import read_structure
from foldwright.structure.records import Chain

_OPTION = "--structure"


def read_structure_request(path: str | None, problems: list[Problem]) -> StructureFeatures | None:
    """Describe the one protein chain of a file; what is wrong with it joins `problems`.

    Its pLDDT, from 0 to 100, is the B-factor of CA, as structure predictors write it. Which
    residues the file has does not matter.
    """
    if path is None:
        return None
    try:
        chains = read_structure(Path(path)).protein_chains
    except InputError as error:
        problems += [Problem(_OPTION, str(problem)) for problem in error.problems]
        return None
    if len(chains) != 1:
        message = f"{path} has {len(chains)} protein chains; expected a file with one"
        problems.append(Problem(_OPTION, message))
        return None
    backbone = chains[0].backbone()
    plddt = _confidence(chains[0])
    fault = _fault(backbone, plddt)
    if fault:
        problems.append(Problem(_OPTION, f"{path}: {fault}"))
        return None
    exists = np.isfinite(backbone).all(-1)
    filled = np.where(exists[..., None], backbone, 0.0).astype(np.float32)
    return StructureFeatures.of_structure(filled, exists, plddt)


def _confidence(chain: Chain) -> np.ndarray:
    """B-factor of the CA of every residue, NaN where there is none."""
    plddt = np.full(len(chain), np.nan, dtype=np.float32)
    is_ca = chain.atom_names == "CA"
    plddt[chain.atom_residue_index[is_ca]] = chain.b_factor[is_ca]
    return plddt


def _fault(backbone: np.ndarray, plddt: np.ndarray) -> str:
    missing = np.flatnonzero(~np.isfinite(backbone[:, 1]).all(-1))
    if len(missing):
        return f"residue {missing[0] + 1} has no CA; complete the structure"
    if plddt.min() < 0 or plddt.max() > 100 or plddt.max() <= 1:
        found = f"{plddt.min():g} to {plddt.max():g}"
        return f"B-factors are {found}; expected pLDDT on the scale 0 to 100 in their place"
    return ""
