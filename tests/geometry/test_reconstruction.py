import csv

import numpy as np
import pytest
import torch

from foldwright.geometry.quaternion import quaternion_to_matrix
from foldwright.geometry.reconstruction import CA, C, N, O, backbone_from_ca, bundled_table
from foldwright.geometry.torsion import bond_angle, dihedral_angle

HELIX, STRAND = (-63.0, -43.0), (-115.0, 130.0)
IDEAL_BONDS = {"N-CA": 1.459, "CA-C": 1.525, "C-N": 1.33, "C-O": 1.232}


def random_rotation(seed: int = 0) -> torch.Tensor:
    quaternion = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return quaternion_to_matrix(quaternion / quaternion.norm())


def atom_rmsd(natural: torch.Tensor, built: torch.Tensor) -> torch.Tensor:
    return (natural - built).square().sum(-1).mean(0).sqrt()


def bonds(backbone: torch.Tensor) -> dict[str, torch.Tensor]:
    n, ca, c, o = backbone.unbind(1)
    pairs = {"N-CA": ca - n, "CA-C": c - ca, "C-N": n[1:] - c[:-1], "C-O": o - c}
    return {name: vector.norm(dim=-1) for name, vector in pairs.items()}


def omega(backbone: torch.Tensor) -> torch.Tensor:
    n, ca, c, _ = backbone.unbind(1)
    return dihedral_angle(ca[:-1], c[:-1], n[1:], ca[1:])


@pytest.mark.parametrize(("name", "pair"), [("helix", HELIX), ("strand", STRAND)])
def test_ideal_secondary_structure_comes_back(ideal_chain, name, pair):
    natural = ideal_chain([pair] * 24)
    built = backbone_from_ca(natural[:, CA])
    error = atom_rmsd(natural[1:-1], built[1:-1])
    assert float(error[N]) < 0.15, name
    assert float(error[C]) < 0.15, name
    assert float(error[O]) < 0.35, name
    assert float(error[CA]) == 0


def test_a_chain_of_helix_turn_and_strands_comes_back(mixed_chain):
    error = atom_rmsd(mixed_chain, backbone_from_ca(mixed_chain[:, CA]))
    assert float(error[[N, C, O]].square().mean().sqrt()) < 0.4


def test_natural_test_chains_come_back_within_04(shared_data):
    with np.load(shared_data / "structures" / "chains_00.npz") as arrays:
        coords, offsets = arrays["coords"], arrays["offsets"]
    with (shared_data / "structures" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [i for i, r in enumerate(rows) if r["split"] == "test" and r["atoms"] == "NCACO"]
    errors = []
    for i in chosen[::5]:
        natural = torch.from_numpy(coords[offsets[i] : offsets[i + 1]])
        errors.append((natural - backbone_from_ca(natural[:, CA])).square().sum(-1))
    error = torch.cat(errors).nanmean(0).sqrt()
    assert float(error[N]) < 0.19
    assert float(error[C]) < 0.21
    assert float(error[O]) < 0.57
    assert float(error[[N, C, O]].square().mean().sqrt()) < 0.37


@pytest.mark.parametrize("length", [3, 4, 5, 6, 45])
def test_the_backbone_rotates_and_moves_with_the_trace(mixed_chain, length):
    ca, rotation = mixed_chain[10 : 10 + length, CA], random_rotation()
    shift = torch.tensor([50.0, -20.0, 7.0], dtype=torch.float64)
    expected = backbone_from_ca(ca) @ rotation.mT + shift
    found = backbone_from_ca(ca @ rotation.mT + shift)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_far_from_the_origin_nothing_changes(mixed_chain):
    ca = mixed_chain[:, CA].float()
    moved = backbone_from_ca(ca + 512.0) - 512.0
    torch.testing.assert_close(moved, backbone_from_ca(ca), rtol=0, atol=5e-3)


def test_amino_acids_are_left_handed_whatever_the_trace(mixed_chain):
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    ca = mixed_chain[:, CA]
    deviation = atom_rmsd(backbone_from_ca(ca) * mirror, backbone_from_ca(ca * mirror))
    assert float(deviation[O]) > 0.5
    n, ca, c, _ = backbone_from_ca(ca)[:17].unbind(1)
    assert bool((dihedral_angle(c[:-1], n[1:], ca[1:], c[1:])[1:-1] < 0).all())


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_bonds_stay_near_ideal_and_planes_flat_on_noisy_traces(mixed_chain, noise):
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        ca = mixed_chain[:, CA] + noise * torch.randn(45, 3, generator=generator)
        built = backbone_from_ca(ca)
        assert torch.isfinite(built).all()
        step = (ca[1:] - ca[:-1]).norm(dim=-1)
        linked = (step > 2.5) & (step < 4.25)
        found = bonds(built)
        found["C-N"] = found["C-N"][linked]
        for name, values in found.items():
            limit = 0.02 if name in ("C-N", "C-O") else 0.16
            assert float((values - IDEAL_BONDS[name]).abs().max()) < limit, name
        plane = omega(built)[linked]
        torch.testing.assert_close(plane.sin(), torch.zeros_like(plane), rtol=0, atol=1e-6)
        assert bool(((plane.cos() < 0) == (step[linked] >= 3.375)).all())


def test_bonds_are_ideal_over_the_natural_range_of_distances(mixed_chain):
    found = bonds(backbone_from_ca(mixed_chain[:, CA]))
    for name, values in found.items():
        assert float((values - IDEAL_BONDS[name]).abs().max()) < 0.015, name


def test_inner_angles_settle_near_tetrahedral(mixed_chain):
    n, ca, c, _ = backbone_from_ca(mixed_chain[:, CA]).unbind(1)
    angle = torch.rad2deg(bond_angle(n, ca, c))
    assert float(angle.min()) > 100
    assert float(angle.max()) < 123


def test_a_short_distance_makes_a_cis_peptide(ideal_chain):
    plan = [STRAND] * 6 + [(-75.0, 145.0)] * 3 + [STRAND] * 6
    natural = ideal_chain(plan, cis=frozenset({6}))
    assert float((natural[7, CA] - natural[6, CA]).norm()) == pytest.approx(2.95, abs=0.1)
    built = backbone_from_ca(natural[:, CA])
    torch.testing.assert_close(omega(built).abs().argmin(), torch.tensor(6))
    assert float(omega(built)[6].abs()) < 1e-6
    assert float(atom_rmsd(natural, built)[[N, C, O]].max()) < 0.7


def test_pieces_on_two_sides_of_a_break_do_not_see_each_other(mixed_chain):
    ca = mixed_chain[:, CA]
    first, second = ca[:20], ca[20:] + 30.0
    expected = torch.cat([backbone_from_ca(first), backbone_from_ca(second)])
    torch.testing.assert_close(backbone_from_ca(torch.cat([first, second])), expected)


def test_a_missing_residue_stays_missing_and_breaks_the_chain(mixed_chain):
    ca = mixed_chain[:, CA].clone()
    ca[20, 1] = torch.nan
    built = backbone_from_ca(ca)
    assert bool(built[20].isnan().all())
    torch.testing.assert_close(built[:20], backbone_from_ca(ca[:20]))
    torch.testing.assert_close(built[21:], backbone_from_ca(ca[21:]))


@pytest.mark.parametrize("length", range(5))
def test_the_shortest_chains_have_whole_residues(mixed_chain, length):
    built = backbone_from_ca(mixed_chain[:length, CA])
    assert built.shape == (length, 4, 3)
    assert torch.isfinite(built).all()
    for name, values in bonds(built).items():
        assert bool(((values - IDEAL_BONDS[name]).abs() < 0.02).all()), name
    n, ca, c, _ = built.unbind(1)
    angle = torch.rad2deg(bond_angle(n, ca, c))
    assert bool(((angle > 95) & (angle < 128)).all())


def test_residues_alone_among_others_rotate_with_them(mixed_chain):
    ca = mixed_chain[[0, 5, 6, 20, 40], CA]
    rotation = random_rotation(3)
    expected = backbone_from_ca(ca) @ rotation.mT
    torch.testing.assert_close(backbone_from_ca(ca @ rotation.mT), expected)


def test_degenerate_traces_give_no_nan():
    line = 3.8 * torch.arange(8.0)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    zigzag_back = torch.tensor([[0.0, 0, 0], [3.8, 0, 0], [0.0, 0, 0], [3.8, 0, 0], [0.0, 0, 0]])
    for ca in (line, zigzag_back, torch.zeros(6, 3), 1e4 * line):
        assert torch.isfinite(backbone_from_ca(ca)).all()


def test_missing_everywhere_is_missing_everywhere():
    assert bool(backbone_from_ca(torch.full((4, 3), torch.nan)).isnan().all())


def test_precision_of_the_input_is_kept_and_the_answer_repeats(mixed_chain):
    ca = mixed_chain[:, CA]
    double, single = backbone_from_ca(ca), backbone_from_ca(ca.float())
    assert double.dtype == torch.float64
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=0, atol=2e-4)
    assert torch.equal(single, backbone_from_ca(ca.float()))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(single, backbone_from_ca(ca.float()))


def test_the_answer_has_a_gradient(mixed_chain):
    ca = mixed_chain[14:20, CA].clone().requires_grad_()
    assert torch.autograd.gradcheck(backbone_from_ca, ca, atol=1e-4, fast_mode=True)


def test_the_table_is_small_and_says_where_it_comes_from():
    from importlib import resources

    file = resources.files("foldwright.geometry").joinpath("backbone_table.npz")
    assert len(file.read_bytes()) < 100_000
    with resources.as_file(file) as path, np.load(path, allow_pickle=False) as arrays:
        assert '"split": "train"' in str(arrays["provenance"])
    assert bundled_table().n_ca_c.item() == pytest.approx(np.deg2rad(111.1), abs=0.01)
