"""Point attention: invariance, masks, a reference by hand, and precision."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foldwright.geometry.rigid import Rigid
from foldwright.nn.invariant_point_attention import InvariantPointAttention
from tests.geometry.rotations import MIRROR, random_rotations
from tests.golden_numbers import assert_close
from tests.nn.random_blocks import lengths_mask, normal, with_random_weights

C_S, C_Z, HIDDEN, HEADS, QK, V = 6, 5, 4, 3, 2, 3
LENGTHS, N = [7, 4], 7
MASK = lengths_mask(LENGTHS, N)


def block(dtype: torch.dtype = torch.float64) -> InvariantPointAttention:
    made = InvariantPointAttention(
        C_S, C_Z, c_hidden=HIDDEN, num_heads=HEADS, num_qk_points=QK, num_v_points=V
    )
    return with_random_weights(made, 0, dtype)


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Rigid]:
    """Improper frames some Å apart, as Frenet frames are."""
    frames = Rigid((random_rotations(2, N) @ MIRROR).to(dtype), 3 * normal(2, N, 3, dtype=dtype))
    return normal(2, N, C_S, seed=2, dtype=dtype), normal(2, N, N, C_Z, seed=3, dtype=dtype), frames


def moved(frames: Rigid, offset: float) -> Rigid:
    turn = random_rotations(seed=5).to(frames.rots.dtype)
    shift = offset * torch.tensor([0.6, -0.48, 0.64], dtype=frames.rots.dtype)
    return Rigid(turn @ frames.rots, frames.trans @ turn.T + shift)


@torch.no_grad()
def by_hand(ipa: InvariantPointAttention, s: Tensor, z: Tensor, frames: Rigid, n: int) -> Tensor:
    """Algorithm 22 for one chain of n residues, residue by residue and head by head."""
    q = ipa.linear_q(s).view(-1, HEADS, HIDDEN)
    k, v = ipa.linear_kv(s).view(-1, HEADS, 2, HIDDEN).unbind(2)
    q_points = ipa.linear_q_points(s).view(-1, 3, HEADS, QK)
    kv_points = ipa.linear_kv_points(s).view(-1, 3, HEADS, QK + V)
    bias, gamma = ipa.linear_b(z), functional.softplus(ipa.head_weights)
    scale = math.sqrt(2 / (9 * QK))
    rows = []
    for i in range(n):
        parts: dict[str, list[Tensor]] = {"o": [], "points": [], "pair": []}
        for h in range(HEADS):
            logits, values = [], []
            for j in range(n):
                at_i = frames.rots[i] @ q_points[i, :, h] + frames.trans[i, :, None]
                at_j = frames.rots[j] @ kv_points[j, :, h] + frames.trans[j, :, None]
                squares = (at_i - at_j[:, :QK]).square().sum()
                logit = q[i, h] @ k[j, h] / math.sqrt(HIDDEN) + bias[i, j, h]
                logits.append(math.sqrt(1 / 3) * (logit - gamma[h] * scale / 2 * squares))
                values.append(at_j[:, QK:])
            weights = torch.softmax(torch.stack(logits), dim=0)
            parts["o"].append(weights @ v[:n, h])
            point = torch.einsum("j,jxp->xp", weights, torch.stack(values))
            parts["points"].append(frames.rots[i].T @ (point - frames.trans[i, :, None]))
            parts["pair"].append(weights @ z[i, :n])
        points = torch.stack(parts["points"], dim=1)
        norms = torch.sqrt(points.square().sum(0) + 1e-8)
        flat = [torch.cat(parts["o"]), points.flatten(), norms.flatten(), torch.cat(parts["pair"])]
        rows.append(ipa.linear_out(torch.cat(flat)))
    return torch.stack(rows)


@torch.no_grad()
def test_algorithm_22_by_hand() -> None:
    ipa, (s, z, frames) = block(), inputs()
    found = ipa(s, z, frames, MASK)
    for row, n in enumerate(LENGTHS):
        one = Rigid(frames.rots[row], frames.trans[row])
        assert_close(found[row, :n], by_hand(ipa, s[row], z[row], one, n), 1e-10)


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
@torch.no_grad()
def test_rotating_and_moving_everything_changes_nothing(dtype, tolerance, offset) -> None:
    ipa, (s, z, frames) = block(dtype), inputs(dtype)
    found = ipa(s, z, moved(frames, offset), MASK)
    assert found.dtype == dtype
    assert_close(found, ipa(s, z, frames, MASK), tolerance, MASK)


@torch.no_grad()
def test_moving_one_residue_changes_the_others() -> None:
    ipa, (s, z, frames) = block(), inputs()
    trans = frames.trans.clone()
    trans[:, 0] += 2
    change = ipa(s, z, Rigid(frames.rots, trans), MASK) - ipa(s, z, frames, MASK)
    assert (change.abs().amax(-1)[MASK] > 1e-6).all()


@torch.no_grad()
def test_masked_keys_do_not_matter() -> None:
    ipa, (s, z, frames) = block(), inputs()
    hidden = ~MASK[..., None]
    other_s = torch.where(hidden, 9 * normal(2, N, C_S, seed=7), s)
    other_z = torch.where(hidden[:, None], 9 * normal(2, N, N, C_Z, seed=8), z)
    trans = torch.where(hidden, frames.trans + 1000, frames.trans)
    found = ipa(other_s, other_z, Rigid(frames.rots, trans), MASK)
    assert_close(found, ipa(s, z, frames, MASK), 1e-10, MASK)


@torch.no_grad()
def test_order_of_residues_does_not_matter() -> None:
    ipa, (s, z, frames) = block(), inputs()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    shuffled = Rigid(frames.rots[:, order], frames.trans[:, order])
    found = ipa(s[:, order], z[:, order][:, :, order], shuffled, MASK[:, order])
    assert_close(found, ipa(s, z, frames, MASK)[:, order], 1e-10)


def test_chain_of_padding_alone_gets_no_attention_and_finite_gradients() -> None:
    """Nothing is attended, so scalar and pair features are zero and points lie at the origin."""
    ipa, (s, z, frames) = block(), inputs()
    s.requires_grad_()
    nothing = torch.zeros(2, N, dtype=torch.bool)
    update = ipa(s, z, frames, nothing)
    update.sum().backward()
    assert torch.isfinite(update).all()
    assert torch.isfinite(s.grad).all()
    assert_close(update.detach(), ipa(0 * s, 0 * z, frames, nothing).detach(), 1e-12)


def test_gradients_are_finite_where_all_residues_coincide() -> None:
    ipa, (s, z, _) = block(), inputs()
    trans = torch.zeros(2, N, 3, dtype=torch.float64, requires_grad=True)
    frames = Rigid(torch.zeros(2, N, 3, 3, dtype=torch.float64), trans)
    ipa(s, z, frames, MASK).sum().backward()
    assert torch.isfinite(trans.grad).all()


@torch.no_grad()
def test_distances_keep_their_digits_in_low_precision() -> None:
    """Squared distances of a long chain would drown in bfloat16, whose step at 2,000 is 8."""
    ipa, (s, z, frames) = block(torch.float32), inputs(torch.float32)
    wide = Rigid(frames.rots, 10 * frames.trans)
    weights = {n: 0 * p if n.startswith("linear_") else p for n, p in ipa.state_dict().items()}
    weights["linear_out.weight"] = ipa.linear_out.weight.bfloat16().float()
    ipa.load_state_dict(weights)
    features: list[Tensor] = []
    ipa.linear_out.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    ipa(s, z, wide, MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ipa(s, z, wide, MASK)
    assert features[1].dtype == torch.float32
    exact, found = (f[..., HEADS * HIDDEN : -HEADS * C_Z] for f in features)
    assert exact.abs().max() > 1
    assert_close(found, exact, 1e-3, MASK)
