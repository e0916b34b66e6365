"""FlashIPA's stack gives its numbers in all five modes; the two functions its users know."""

from pathlib import Path

import pytest
import torch

from foldwright.geometry.quaternion import matrix_to_quaternion, multiply, quaternion_to_matrix
from foldwright.geometry.rigid import Rigid
from foldwright.nn.flash_ipa import (
    EdgeTransition,
    FlashIpaTrunk,
    FrameUpdate,
    NodeTransition,
    TrunkPair,
    TrunkSizes,
    create_edge_embedder,
    create_flash_ipa,
)
from foldwright.nn.pair import DensePair, FactorizedPair
from tests.golden_numbers import Golden, assert_close, load_golden
from tests.nn.random_blocks import normal, with_random_weights
from tests.nn.test_edge_embedder import embedder_of, seen_by


def trunk_of(golden: Golden, mode: str) -> FlashIpaTrunk:
    c = golden.config
    sizes = TrunkSizes(
        c_s=c["c_s"],
        c_z=c["c_z"],
        depth=c["num_blocks"],
        z_rank=None if mode.startswith("orig") else c["z_factor_rank"],
        c_hidden=c["c_hidden"],
        num_heads=c["no_heads"],
        num_qk_points=c["no_qk_points"],
        num_v_points=c["no_v_points"],
        sequence_heads=c["seq_tfmr_num_heads"],
        sequence_layers=c["seq_tfmr_num_layers"],
    )
    trunk = FlashIpaTrunk(sizes)
    weights = part_of(golden, "trunk.")
    if not c["c_z"]:  # built and never used by the original
        weights = {n: w for n, w in weights.items() if not n.startswith("edge_transition")}
    trunk.to(golden.dtype).load_state_dict(weights)
    return trunk.eval()


def rotate_by_quaternions(update: FrameUpdate, given: tuple, moved: Rigid) -> Rigid:
    """Do the first frame update as the original does.

    The stored rotations are rounded to float32, so they are orthogonal to 1e-7 only. The original
    rotates by the quaternion next to such a matrix, which is exact again, and translates by the
    matrix; ours takes the matrix for both, and differs by up to 1.9e-7 in the result.
    """
    s, frames, mask = given
    exact = quaternion_to_matrix(matrix_to_quaternion(frames.rots))
    return Rigid(update.forward(s, Rigid(exact, frames.trans), mask).rots, moved.trans)


def part_of(golden: Golden, prefix: str) -> dict[str, torch.Tensor]:
    names = [n for n in golden.names("w.") if n.startswith(prefix)]
    return {n.removeprefix(prefix): golden.tensor(f"w.{n}") for n in names}


@pytest.mark.parametrize(
    "mode",
    [
        "orig_no_bias",
        "orig_2d_bias",
        "flash_no_bias",
        "flash_1d_bias",
        "flash_2d_factorize_bias",
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_numbers_of_the_whole_model(shared_golden: Path, mode: str, dtype: torch.dtype) -> None:
    golden = load_golden(shared_golden, f"flash_ipa/model_{mode}", dtype)
    golden.config["mode"] = mode
    golden.config["c_p"] = golden.config["c_z"]
    mask = golden.input("node_mask") > 0.5
    node_embed = golden.input("node_embed").requires_grad_()
    pair: TrunkPair | None = None
    if not mode.endswith("no_bias"):
        embedder = embedder_of(golden).to(dtype)
        embedder.load_state_dict(part_of(golden, "edge_embedder."))
        seen = seen_by(mask, mode)
        pair = embedder(node_embed, golden.input("trans"), seen, golden.input("trans_sc"))
    frames = Rigid(golden.input("rots"), golden.input("trans"))
    trunk = trunk_of(golden, mode)
    trunk.bb_update_0.register_forward_hook(rotate_by_quaternions)
    _, moved = trunk(node_embed, frames, pair, mask)
    double = dtype == torch.float64
    values, gradients = (1e-12, 1e-12) if double else (1e-4, 2e-3)
    if "factorize" in mode and not double:
        values, gradients = 5e-4, 5e-2
    assert_close(moved.trans, golden.result("pred_trans"), values, mask)
    assert_close(moved.rots, golden.result("pred_rots"), values, mask)
    total = (moved.trans * golden.tensor("cot.pred_trans")).sum()
    total = total + (moved.rots * golden.tensor("cot.pred_rots")).sum()
    (gradient,) = torch.autograd.grad(total, node_embed)
    expected = torch.from_numpy(golden.arrays["grad64.node_embed"])
    assert_close(gradient, expected, gradients * max(1.0, expected.abs().max().item()), mask)


def test_node_transition(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/node_transition")
    block = golden.load_into(NodeTransition(golden.config["c"]))
    assert_close(block(golden.input("s")), golden.result("s"), 1e-9)


def test_backbone_update(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/backbone_update")
    block = golden.load_into(FrameUpdate(golden.config["c_s"]))
    assert_close(block.linear(golden.input("s")), golden.result("update"), 1e-9)


def test_rigid_transforms_and_quaternions(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/rigid")
    one, two = (Rigid(golden.input(f"rots_{x}"), golden.input(f"trans_{x}")) for x in "ab")
    points, q1, q2 = (golden.input(name) for name in ("points", "quat1", "quat2"))
    both, back = one.compose(two), one.invert()
    found = {
        "compose_rots": both.rots,
        "compose_trans": both.trans,
        "invert_rots": back.rots,
        "invert_trans": back.trans,
        "apply": one.apply(points),
        "invert_apply": one.apply_inverse(points),
        "rot_to_quat_w_positive": matrix_to_quaternion(one.rots),
        "quat_to_rot_unnormalised": quaternion_to_matrix(q1),
        "quat_multiply": multiply(q1, q2),
        "quat_multiply_by_vec": multiply(q1, torch.nn.functional.pad(golden.input("vec"), (1, 0))),
    }
    for name, tensor in found.items():
        assert_close(tensor, golden.result(name), 1e-9)


def test_a_frame_is_updated_as_by_the_original(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/rigid")
    given, mask = golden.input("update"), golden.input("update_mask")[..., 0] > 0.5
    update = FrameUpdate(6).double()
    with torch.no_grad():
        update.linear.weight.copy_(torch.eye(6))
    exact = quaternion_to_matrix(matrix_to_quaternion(golden.input("rots_a")))
    moved = update(given, Rigid(exact, golden.input("trans_a")), mask)
    assert_close(moved.rots, golden.result("update_rots"), 1e-9, mask)
    assert_close(moved.trans, golden.result("update_trans"), 1e-9, mask)


def test_frame_update_moves_in_local_axes_and_leaves_padding() -> None:
    update = FrameUpdate(3)
    with torch.no_grad():  # half a turn about x, two units along the local y
        update.linear.bias.copy_(torch.tensor([1e8, 0.0, 0.0, 0.0, 2.0, 0.0]))
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    frames = Rigid(quarter.expand(1, 2, 3, 3), torch.ones(1, 2, 3))
    mask = torch.tensor([[True, False]])
    moved = update(torch.zeros(1, 2, 3), frames, mask)
    torch.testing.assert_close(moved.trans[0], torch.tensor([[-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    half = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(moved.rots[0, 0], quarter @ half)
    assert torch.equal(moved.rots[0, 1], quarter)


@pytest.mark.parametrize("name", ["edge_transition_1d", "edge_transition_2d"])
def test_edge_transition(shared_golden: Path, name: str) -> None:
    golden = load_golden(shared_golden, f"flash_ipa/{name}")
    c = golden.config
    block = EdgeTransition(c["node_embed_size"], c["edge_embed"], rank=c.get("z_factor_rank"))
    golden.load_into(block)
    if "in.edge_embed" in golden.arrays:
        out = block(golden.input("node_embed"), DensePair(golden.input("edge_embed")))
        assert_close(out.values, golden.result("edge_embed"), 1e-9)
    else:
        pair = FactorizedPair(golden.input("z_factor_1"), golden.input("z_factor_2"))
        out = block(golden.input("node_embed"), pair)
        assert_close(out.left, golden.result("z_factor_1"), 1e-9)
        assert_close(out.right, golden.result("z_factor_2"), 1e-9)


def test_the_workflow_of_its_users_at_rank_16() -> None:
    embedder = with_random_weights(
        create_edge_embedder(c_s=6, c_p=8, z_rank=16, num_rbf=4, feat_dim=4, num_neighbours=3)
    )
    stack = with_random_weights(
        create_flash_ipa(c_s=8, c_z=8, depth=2, z_rank=16, num_heads=2, c_hidden=4)
    )
    x, mask = 4 * normal(1, 9, 3, seed=2), torch.arange(9)[None] < 7
    outputs = embedder(normal(1, 9, 6), x, mask, trans_sc=x + normal(1, 9, 3, seed=3))
    assert outputs["z_f1"].shape == outputs["z_f2"].shape == (1, 9, 16, 8)
    rots = torch.linalg.qr(normal(1, 9, 3, 3, seed=5))[0]
    s = normal(1, 9, 8, seed=6)
    features, moved = stack(s, Rigid(rots, x), outputs["z_f1"], outputs["z_f2"], mask)
    assert features.shape == (1, 9, 8)
    assert torch.equal(moved.trans[:, 7:], x[:, 7:] * 0.1 / 0.1)
    turn = torch.linalg.qr(normal(3, 3, seed=7))[0]
    turned = Rigid(turn @ rots, x @ turn.T)
    same, followed = stack(s, turned, outputs["z_f1"], outputs["z_f2"], mask)
    torch.testing.assert_close(same, features)
    torch.testing.assert_close(followed.trans, moved.trans @ turn.T)


def test_edge_mask_is_made_when_somebody_asks() -> None:
    embedder = create_edge_embedder(c_s=6, c_p=8, z_rank=2, feat_dim=4, num_neighbours=3)
    mask = torch.tensor([[True, True, False]])
    outputs = embedder(torch.zeros(1, 3, 6), normal(1, 3, 3).float(), mask)
    assert not any(isinstance(v, torch.Tensor) and v.dim() == 3 for v in vars(outputs).values())
    assert outputs["edge_mask"].sum() == 4
    with pytest.raises(KeyError, match="no output 'mask': there are z_f1, z_f2 and edge_mask"):
        outputs["mask"]
