import math

import pytest
import torch

from foldwright.geometry.quaternion import quaternion_to_matrix
from foldwright.geometry.scores import lddt, rmsd, smooth_lddt, tm_scale, tm_score
from foldwright.geometry.superposition import superpose
from foldwright.runtime.errors import InputError


def walk(length: int, seed: int, step: float = 3.8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(length, 3, dtype=torch.float64, generator=generator)
    return torch.cumsum(step * steps / steps.norm(dim=-1, keepdim=True), dim=0)


def moved(points: torch.Tensor, seed: int = 9) -> torch.Tensor:
    quaternion = torch.randn(4, dtype=points.dtype, generator=torch.Generator().manual_seed(seed))
    return points @ quaternion_to_matrix(quaternion / quaternion.norm()).mT + 20.0


def test_rmsd_of_a_shift_is_its_length():
    chain = walk(30, 0)
    shifted = chain + torch.tensor([1.0, 2.0, 2.0])
    assert float(rmsd(chain, shifted)) == pytest.approx(3.0)
    assert float(superpose(chain, shifted).rmsd) == pytest.approx(0.0, abs=1e-12)


def test_rmsd_leaves_masked_residues_out():
    chain = torch.stack([walk(10, 0), walk(10, 1)])
    other = chain + 1.0
    other[:, 7:] = torch.nan
    mask = torch.arange(10).expand(2, 10) < 7
    torch.testing.assert_close(rmsd(chain, other, mask=mask), rmsd(chain, chain + 1.0))
    assert bool(rmsd(chain, chain, mask=torch.zeros_like(mask)).isnan().all())


def test_tm_scale_is_equation_2():
    assert tm_scale(115) == pytest.approx(1.24 * 100 ** (1 / 3) - 1.8)
    assert tm_scale(15) == tm_scale(5) == 0.5


def test_tm_score_is_one_for_a_moved_copy_and_small_for_strangers():
    chain = walk(80, 0)
    assert float(tm_score(chain, moved(chain))) == pytest.approx(1.0, abs=1e-9)
    assert float(tm_score(chain, walk(80, 1))) < 0.35


def test_tm_score_finds_the_half_that_fits():
    # A rigid half counts fully whatever the other half, which is 300 Å off, does.
    target = walk(120, 0)
    mobile = moved(target)
    mobile[60:] = walk(60, 5) + 300.0
    assert float(tm_score(mobile, target)) == pytest.approx(0.5, abs=0.02)
    assert float(superpose(mobile, target).rmsd) > 20


def test_tm_score_of_a_known_deviation():
    # Two far groups on opposite sides of the axis leave no better fit than the identity.
    length, shift = 200, 3.0
    target = walk(length, 0)
    mobile = target.clone()
    mobile[10] += torch.tensor([shift, 0.0, 0.0])
    expected = (length - 1 + 1 / (1 + (shift / tm_scale(length)) ** 2)) / length
    assert float(tm_score(mobile, target)) == pytest.approx(expected, abs=1e-4)
    assert float(tm_score(mobile, target)) >= expected


def test_tm_score_counts_against_the_whole_target_and_skips_masked_residues():
    chain = walk(60, 0)
    other = moved(chain)
    mask = torch.arange(60) < 45
    other[45:] = torch.nan
    assert float(tm_score(other, chain, mask=mask)) == pytest.approx(1.0, abs=1e-9)
    part = tm_score(other, chain, mask=mask, target_length=60)
    assert float(part) == pytest.approx(0.75, abs=1e-9)


def test_tm_score_formula_agrees_with_biotite():
    structure = pytest.importorskip("biotite.structure")
    target = walk(90, 0)
    mobile = target + 0.8 * torch.randn(
        90, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    fitted = superpose(mobile, target).apply(mobile)
    index = torch.arange(90).numpy()
    reference, subject = (_ca_atoms(structure, points) for points in (target, fitted))
    expected = float(structure.tm_score(reference, subject, index, index))
    found = float(tm_score(mobile, target))
    assert expected <= found + 1e-6
    assert found == pytest.approx(expected, abs=5e-3)


def test_tm_score_needs_three_residues():
    chain = walk(3, 0)
    assert float(tm_score(chain, moved(chain))) == pytest.approx(1.0)
    with pytest.raises(InputError, match="at least 3 matched residues: got 2"):
        tm_score(chain[:2], chain[:2])


def test_lddt_of_a_hand_counted_case():
    # Distances 10, 10 and 20 become 10.7, 10.7 and 20; only the first two are under 15 Å,
    # and 0.7 Å is within three of the four thresholds.
    target = torch.tensor([[-10.0, 0.0, 0.0], [0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    lift = math.sqrt(10.7**2 - 10.0**2)
    predicted = target + torch.tensor([[0.0, 0.0, 0.0], [0.0, lift, 0.0], [0.0, 0.0, 0.0]])
    assert float(lddt(predicted, target)) == pytest.approx(0.75)
    assert float(lddt(predicted, target, cutoff=25.0)) == pytest.approx((0.75 * 2 + 1) / 3)


def test_lddt_ignores_motion_masked_residues_and_the_rest_of_the_batch():
    target = torch.stack([walk(40, 0), walk(40, 1)])
    predicted = torch.stack([walk(40, 0) + 0.3 * walk(40, 2, 1.0), walk(40, 3)])
    alone = lddt(predicted[0, :30], target[0, :30])
    predicted[0, 30:], target[0, 30:] = torch.nan, torch.nan
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[0, 30:] = False
    found = lddt(predicted, target, mask=mask)
    torch.testing.assert_close(found[0], alone)
    torch.testing.assert_close(lddt(moved(predicted[1]), target[1]), found[1])
    torch.testing.assert_close(lddt(moved(target[1]), target[1]), torch.ones_like(alone))


def test_lddt_agrees_with_biotite():
    structure = pytest.importorskip("biotite.structure")
    target, predicted = walk(60, 0), walk(60, 0) + 0.5 * walk(60, 2, 1.0)
    reference, subject = (_ca_atoms(structure, points) for points in (target, predicted))
    expected = float(structure.lddt(reference, subject))
    assert float(lddt(predicted, target)) == pytest.approx(expected, abs=1e-5)


def test_lddt_without_any_pair_is_missing_not_zero():
    target = torch.tensor([[0.0, 0.0, 0.0], [90.0, 0.0, 0.0]])
    assert math.isnan(float(lddt(target, target)))
    assert math.isnan(float(smooth_lddt(target, target)))


def test_smooth_lddt_has_its_best_value_and_a_gradient_that_improves():
    target = walk(30, 0)
    best = sum(1 / (1 + math.exp(-threshold)) for threshold in (0.5, 1.0, 2.0, 4.0)) / 4
    assert float(smooth_lddt(target, target)) == pytest.approx(best)
    predicted = (target + 0.4 * walk(30, 4, 1.0)).requires_grad_()
    before = smooth_lddt(predicted, target)
    before.backward()
    with torch.no_grad():
        after = smooth_lddt(predicted + 0.5 * predicted.grad, target)
    assert before.item() < after.item() < best


def test_smooth_lddt_gradient_is_finite_with_padding_of_nan():
    target, predicted = walk(12, 0), walk(12, 1)
    target[10:], predicted[10:] = torch.nan, torch.nan
    predicted.requires_grad_()
    smooth_lddt(predicted, target, mask=torch.arange(12) < 10).backward()
    assert torch.isfinite(predicted.grad).all()
    assert bool((predicted.grad[10:] == 0).all())


@pytest.mark.parametrize("score", [lddt, smooth_lddt])
def test_blocks_of_rows_give_the_same_score_and_gradient(monkeypatch, score) -> None:
    target = torch.stack([walk(40, 0), walk(40, 1)])
    mask = torch.arange(40) < torch.tensor([[40], [33]])
    results = []
    for elements in (1 << 18, 3 * 80, 1):
        monkeypatch.setattr("foldwright.geometry.scores._BLOCK_ELEMENTS", elements)
        predicted = (target + 0.5 * walk(40, 2, 1.0)).requires_grad_()
        found = score(predicted, target, mask=mask)
        if score is smooth_lddt:
            found.sum().backward()
        results.append((found.detach(), predicted.grad))
    for found, gradient in results[1:]:
        torch.testing.assert_close(found, results[0][0])
        assert gradient is None or torch.allclose(gradient, results[0][1], atol=1e-12)


def test_chains_without_pairs_have_no_gradient_and_spoil_none() -> None:
    target = torch.stack([walk(12, 0), 100 * walk(12, 1)])
    predicted = (target + 0.3).requires_grad_()
    mask = torch.ones(2, 12, dtype=torch.bool)
    found = smooth_lddt(predicted, target, mask=mask)
    assert found.isnan().tolist() == [False, True]
    found.nansum().backward()
    assert torch.isfinite(predicted.grad).all()
    predicted.grad = None
    smooth_lddt(predicted, target, mask=~mask).nansum().backward()
    assert torch.equal(predicted.grad, torch.zeros_like(target))


def test_long_chains_keep_no_table_of_pairs() -> None:
    """The backward pass of 2,000 residues keeps under 4 MB; one table of distances has 32."""
    target = walk(2000, 0)
    predicted = (target + 0.1).requires_grad_()
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        smooth_lddt(predicted, target)
    assert sum(kept) < 4e6


def _ca_atoms(structure, points):
    atoms = structure.AtomArray(len(points))
    atoms.coord = points.numpy().astype("float32")
    atoms.res_id = torch.arange(1, len(points) + 1).numpy()
    atoms.atom_name[:] = "CA"
    atoms.res_name[:] = "GLY"
    atoms.element[:] = "C"
    atoms.chain_id[:] = "A"
    return atoms
