"""Parity of every Genie module with the numbers of the original program."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from foldwright.diffusion.process import GaussianProcess
from foldwright.diffusion.samplers import ddpm
from foldwright.diffusion.schedule import build_schedule
from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.config import DiffusionConfig, LossConfig
from foldwright.models.backbone.features import PairFeatureNet, SingleFeatureNet, pair_distance
from foldwright.models.backbone.inputs import BackboneBatch, collate
from foldwright.models.backbone.loss import (
    NoisedBatch,
    diffusion_loss,
    draw_noise,
    prediction_error,
)
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.network import (
    BackboneUpdate,
    GenieDenoiser,
    PairTransformNet,
    StructureNet,
)
from foldwright.nn.embedding import relative_position_one_hot, sinusoidal_encoding
from foldwright.nn.invariant_point_attention import InvariantPointAttention
from foldwright.nn.transition import PairTransition, StructureTransition
from foldwright.nn.triangle import TriangleAttention, TriangleMultiplication
from tests.golden_numbers import Golden, assert_close, load_golden
from tests.models.backbone.genie_reference import fill_procedurally, genie_config, grad

MODULE = [(torch.float64, 1e-9, 1e-9), (torch.float32, 1e-5, 2e-5)]
NETWORK = [(torch.float64, 1e-9, 1e-9), (torch.float32, 1e-4, 1e-4)]
modules = pytest.mark.parametrize(("dtype", "tolerance", "grad_tolerance"), MODULE)
networks = pytest.mark.parametrize(("dtype", "tolerance", "grad_tolerance"), NETWORK)


def pairs(mask: Tensor) -> Tensor:
    return mask[:, :, None] & mask[:, None] if mask.dim() == 2 else mask


def check_gradients(
    golden: Golden, outputs: dict[str, Tensor], inputs: dict[str, Tensor], tol: float
) -> None:
    """Compare the stored gradients with respect to inputs."""
    cotangents = {name: golden.tensor(f"cot.{name}") for name in outputs}
    for name in golden.names("grad64."):
        expected = torch.from_numpy(golden.arrays[f"grad64.{name}"])
        assert_close(grad(outputs, cotangents, inputs[name]), expected, tol)


def check_weight_gradients(
    golden: Golden, module: torch.nn.Module, scalar: Tensor, tol: float
) -> None:
    names, parameters = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(scalar, parameters, retain_graph=True, allow_unused=True)
    checked = 0
    for name, value in zip(names, found, strict=True):
        expected = torch.from_numpy(golden.arrays[f"gradw64.{name}"])
        assert_close(torch.zeros_like(expected) if value is None else value, expected, tol)
        checked += 1
    assert checked == len(golden.names("gradw64."))


def learnable(golden: Golden, *names: str) -> dict[str, Tensor]:
    return {name: golden.input(name).requires_grad_() for name in names}


def frames_of(golden: Golden) -> Rigid:
    return Rigid(golden.input("rots"), golden.input("trans"))


@pytest.mark.parametrize("name", ["frenet_b1", "frenet_b2_pad", "frenet_b4_pad", "frenet_noise"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
def test_frenet_frames(
    shared_golden: Path, name: str, dtype: torch.dtype, tolerance: float
) -> None:
    golden = load_golden(shared_golden, f"genie/{name}", dtype)
    rots = frenet_frames(golden.input("trans"), golden.mask())
    assert_close(rots, golden.result("rots"), tolerance)
    real = golden.mask().sum(1) >= 3
    determinant = torch.linalg.det(rots)[golden.mask() & real[:, None]]
    assert_close(determinant, -torch.ones_like(determinant), 1e-4)


def test_frenet_frames_of_straight_segments(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "genie/frenet_degenerate")
    rots = frenet_frames(golden.input("trans"), golden.mask())
    assert_close(rots, golden.result("rots"), 1e-9)


def test_frenet_frames_of_three_chains_match_the_right_ones(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "genie/frenet_batch3")
    rots = frenet_frames(golden.input("trans"), golden.mask())
    assert_close(rots, golden.tensor("out.rots_correct"), 1e-6)
    assert (rots - golden.tensor("out.rots_upstream")).abs().max() > 0.1


@pytest.mark.parametrize(
    ("name", "period", "channels"),
    [
        ("encoding_position_24_128", 24, 128),
        ("encoding_position_128_128", 128, 128),
        ("encoding_timestep_1000_128", 1000, 128),
        ("encoding_small_odd", 11, 7),
    ],
)
def test_encodings(shared_golden: Path, name: str, period: int, channels: int) -> None:
    golden = load_golden(shared_golden, f"genie/{name}")
    found = sinusoidal_encoding(
        golden.input("v"), period=period, channels=channels, dtype=torch.float64
    )
    assert_close(found, golden.result("enc"), 1e-9)


@modules
def test_single_features(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/single_feature_net", dtype)
    c = golden.config
    net = SingleFeatureNet(
        c["c_s"],
        c_position=c["c_pos_emb"],
        c_timestep=c["c_timestep_emb"],
        num_timesteps=c["n_timestep"],
    )
    s = golden.load_into(net)(golden.input("timesteps"), golden.mask(), position_period=24)
    assert_close(s, golden.result("s"), tolerance)


@modules
def test_pair_features(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/pair_feature_net", dtype)
    c = golden.config
    net = PairFeatureNet(
        c["c_s"], c["c_p"], clip=c["relpos_k"], template="distance", self_conditioning=False
    )
    golden.load_into(net)
    inputs = learnable(golden, "s", "trans")
    p = net(inputs["s"], Rigid(golden.input("rots"), inputs["trans"]), golden.mask())
    one_hot = relative_position_one_hot(24, c["relpos_k"], dtype=dtype, device=p.device)
    relpos = net.linear_relpos(one_hot).expand(2, -1, -1, -1)
    distance = pair_distance(inputs["trans"])[..., None]
    assert_close(p, golden.result("p"), tolerance)
    assert_close(relpos, golden.result("relpos"), tolerance)
    assert_close(distance, golden.result("template_distance"), tolerance)
    outputs = {"p": p, "relpos": relpos, "template_distance": distance}
    check_gradients(golden, outputs, inputs, grad_tolerance)


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
@modules
def test_triangle_multiplication(
    shared_golden: Path, direction, dtype, tolerance, grad_tolerance
) -> None:
    name = {"outgoing": "out", "incoming": "in"}[direction]
    golden = load_golden(shared_golden, f"genie/triangle_mul_{name}", dtype)
    c = golden.config
    module = golden.load_into(TriangleMultiplication(c["c_z"], c["c_hidden"], direction=direction))
    inputs = learnable(golden, "z")
    update = module(inputs["z"], golden.mask())
    assert_close(update, golden.result("z"), tolerance, golden.mask())
    check_gradients(golden, {"z": update}, inputs, grad_tolerance)
    scalar = (golden.tensor("cot.z") * update).sum()
    check_weight_gradients(golden, module, scalar, grad_tolerance * 50)


@pytest.mark.parametrize("node", ["starting", "ending"])
@modules
def test_triangle_attention(shared_golden: Path, node, dtype, tolerance, grad_tolerance) -> None:
    name = {"starting": "start", "ending": "end"}[node]
    golden = load_golden(shared_golden, f"genie/triangle_att_{name}", dtype)
    c = golden.config
    module = golden.load_into(
        TriangleAttention(c["c_in"], c["c_hidden_per_head"], num_heads=c["n_head"], node=node)
    )
    inputs = learnable(golden, "x")
    update = module(inputs["x"], golden.mask())
    assert_close(update, golden.result("x"), tolerance, golden.mask())
    check_gradients(golden, {"x": update}, inputs, grad_tolerance)
    scalar = (golden.tensor("cot.x") * update).sum()
    check_weight_gradients(golden, module, scalar, grad_tolerance * 50)


@modules
def test_pair_transition(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/pair_transition", dtype)
    module = golden.load_into(PairTransition(golden.config["c_z"], golden.config["n"]))
    inputs = learnable(golden, "z")
    update = module(inputs["z"], golden.mask())
    assert_close(update, golden.result("z"), tolerance)
    check_gradients(golden, {"z": update}, inputs, grad_tolerance)


@pytest.mark.parametrize("name", ["mul", "mul_att", "att_only"])
@modules
def test_pair_transform(shared_golden: Path, name, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, f"genie/pair_transform_{name}", dtype)
    net = golden.load_into(PairTransformNet(genie_config(golden.config)))
    inputs = learnable(golden, "p")
    mask = golden.mask()
    chain = mask if mask.dim() == 2 else mask.diagonal(dim1=1, dim2=2)
    p = net(inputs["p"], chain)
    assert_close(p, golden.result("p"), 2 * tolerance, pairs(mask))
    if golden.names("grad64."):
        check_gradients(golden, {"p": p}, inputs, 2 * grad_tolerance)


@pytest.mark.parametrize("name", ["ipa_near", "ipa_protein"])
@modules
def test_point_attention(shared_golden: Path, name, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, f"genie/{name}", dtype)
    c = golden.config
    module = golden.load_into(
        InvariantPointAttention(
            c["c_s"],
            c["c_z"],
            c_hidden=c["c_hidden"],
            num_heads=c["n_head"],
            num_qk_points=c["n_qk_point"],
            num_v_points=c["n_v_point"],
        )
    )
    inputs = learnable(golden, "s", "z", "rots", "trans")
    s = module(inputs["s"], inputs["z"], Rigid(inputs["rots"], inputs["trans"]), golden.mask())
    assert_close(s, golden.result("s"), tolerance, golden.mask())
    check_gradients(golden, {"s": s}, inputs, grad_tolerance)
    if golden.names("gradw64."):
        scalar = (golden.tensor("cot.s") * s).sum()
        check_weight_gradients(golden, module, scalar, grad_tolerance * 10)


@modules
def test_backbone_update(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/backbone_update", dtype)
    inputs = learnable(golden, "s")
    update = golden.load_into(BackboneUpdate(golden.config["c_s"]))(inputs["s"])
    assert_close(update.rots, golden.result("rots"), tolerance)
    assert_close(update.trans, golden.result("trans"), tolerance)
    check_gradients(golden, {"rots": update.rots, "trans": update.trans}, inputs, grad_tolerance)


@modules
def test_structure_transition(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/structure_transition", dtype)
    c = golden.config
    module = StructureTransition(c["c"], num_layers=c["num_layers"], dropout=0.1)
    inputs = learnable(golden, "s")
    s = golden.load_into(module)(inputs["s"])
    assert_close(s, golden.result("s"), tolerance)
    check_gradients(golden, {"s": s}, inputs, grad_tolerance)


@pytest.mark.parametrize("blocks", [1, 2])
@networks
def test_structure_net(shared_golden: Path, blocks, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, f"genie/structure_net_{blocks}block", dtype)
    net = golden.load_into(StructureNet(genie_config(golden.config)))
    inputs = learnable(golden, "s", "p", "trans")
    frames = Rigid(golden.input("rots"), inputs["trans"])
    moved = net(inputs["s"], inputs["p"], frames, golden.mask())
    assert_close(moved.trans, golden.result("trans"), tolerance, golden.mask())
    assert_close(moved.rots, golden.result("rots"), tolerance, golden.mask())
    check_gradients(golden, {"rots": moved.rots, "trans": moved.trans}, inputs, grad_tolerance)


@pytest.mark.parametrize("name", ["mul", "mul_att", "no_pair_transform"])
@networks
def test_denoiser(shared_golden: Path, name, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, f"genie/denoiser_{name}", dtype)
    net = _denoiser(golden)
    inputs = learnable(golden, "trans")
    frames = Rigid(golden.input("rots"), inputs["trans"])
    moved = net(frames, golden.input("timesteps"), golden.mask())
    assert_close(moved.trans, golden.result("trans"), tolerance, golden.mask())
    assert_close(moved.rots, golden.result("rots"), tolerance, golden.mask())
    check_gradients(golden, {"rots": moved.rots, "trans": moved.trans}, inputs, grad_tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_published_configuration(shared_golden: Path, dtype, tolerance) -> None:
    golden = load_golden(shared_golden, "genie/denoiser_published_config", dtype)
    c = golden.config
    net = GenieDenoiser(genie_config(c, max_length=64), num_timesteps=c["n_timestep"])
    fill_procedurally(net, c["procedural_seed"], c["procedural_scale"])
    assert sum(p.numel() for p in net.parameters()) == 4_087_574
    with torch.no_grad():
        moved = net.to(dtype).eval()(frames_of(golden), golden.input("timesteps"), golden.mask())
    assert_close(moved.trans, golden.result("trans"), tolerance, golden.mask())
    assert_close(moved.rots, golden.result("rots"), tolerance, golden.mask())


@modules
def test_loss(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/loss_rmsd", dtype)
    inputs = learnable(golden, "pred")
    loss = prediction_error(inputs["pred"], golden.input("target"), golden.mask(), kind="distance")
    assert_close(loss, golden.result("loss"), tolerance)
    check_gradients(golden, {"loss": loss}, inputs, grad_tolerance)


def test_forward_noising(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "genie/forward_noising")
    process = GaussianProcess(build_schedule("cosine", 100))
    noise = golden.input("noise") * golden.mask()[..., None]
    noised = process.add_noise(golden.input("trans"), noise, golden.input("s"))
    assert_close(noised, golden.result("trans"), 1e-9)
    assert_close(frenet_frames(noised, golden.mask()), golden.result("rots"), 1e-9)


@pytest.mark.parametrize("name", ["mid", "mixed", "last"])
@networks
def test_reverse_step(shared_golden: Path, name, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, f"genie/reverse_step_{name}", dtype)
    model = _model(golden, num_steps=100)
    timestep, mask, x = golden.input("s"), golden.mask(), golden.input("trans")
    # The stored frames are rounded to float32; rebuilt ones would differ by 1e-8.
    moved = model.network(frames_of(golden), timestep, mask)
    prediction = model.process.prediction("epsilon", x, x - moved.trans, timestep)
    noise = 0.6 * golden.input("noise")
    mean = ddpm.reverse_step(
        model.process, x, prediction, timestep, timestep - 1, torch.zeros_like(x)
    )
    beta = model.process.schedule.betas[timestep].sqrt().to(dtype)[:, None, None]
    # The original adds noise at timestep 0 too, unless every chain of the batch is there.
    stepped = mean if bool((timestep == 0).all()) else mean + beta * noise
    stepped = stepped * mask[..., None]
    assert_close(stepped, golden.result("trans"), tolerance, mask)
    rots = frenet_frames(stepped, mask)
    assert_close(rots, golden.result("rots"), max(tolerance, 1e-9), mask)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_sampling_loop(shared_golden: Path, dtype, tolerance) -> None:
    golden = load_golden(shared_golden, "genie/sample_loop", dtype)
    model, mask = _model(golden, num_steps=8), golden.mask()
    stored = iter(golden.input("z"))
    seen = []

    def denoise(x: Tensor, timestep: Tensor):
        seen.append(x)
        return model.denoise(x * mask[..., None], mask, timestep)

    with torch.no_grad():
        last = ddpm.sample(
            denoise,
            model.process,
            golden.input("trans"),
            timesteps=torch.arange(7, -1, -1),
            noise=lambda _: next(stored),
            noise_scale=0.6,
        )
    trajectory = torch.stack([*seen, last])
    for found, expected in zip(trajectory, golden.result("trajectory"), strict=True):
        assert_close(found, expected, tolerance, mask)


@networks
def test_training_loss(shared_golden: Path, dtype, tolerance, grad_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/training_loss", dtype)
    model = _model(golden, num_steps=100)
    loss = diffusion_loss(model, _noised(golden), LossConfig(), self_condition=False)
    assert_close(loss.total, golden.result("loss"), tolerance)
    check_weight_gradients(golden, model.network, loss.total, grad_tolerance)


@pytest.mark.parametrize(
    ("dtype", "tolerance", "weight_tolerance"),
    [(torch.float64, 5e-5, 1e-9), (torch.float32, 5e-5, 3e-4)],
)
def test_three_training_steps(shared_golden: Path, dtype, tolerance, weight_tolerance) -> None:
    golden = load_golden(shared_golden, "genie/train_steps", dtype)
    model = _model(golden, num_steps=100)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    losses = []
    for step in (0, 1, 2, 0):
        loss = diffusion_loss(model, _noised(golden, step), LossConfig(), self_condition=False)
        losses.append(loss.total.detach())
        if len(losses) < 4:
            optimiser.zero_grad()
            loss.total.backward()
            optimiser.step()
    assert_close(torch.stack(losses), golden.result("losses"), tolerance)
    for name, parameter in model.network.named_parameters():
        if dtype == torch.float64 and _has_zero_gradient(name):
            continue
        assert_close(parameter.detach(), golden.result(f"after.{name}"), weight_tolerance)


def test_original_transform_and_ours(shared_golden: Path) -> None:
    """Both centrings; ours is right, the original's is kept behind compat."""
    golden = load_golden(shared_golden, "genie/transform")
    ca, mask = golden.input("coords")[:, 1::3], golden.mask()
    chains = [row[real] for row, real in zip(ca, mask, strict=True)]
    theirs = collate(chains, ["a", "b"], length=24, compat="genie-1")
    assert_close(theirs.ca, golden.result("trans"), 1e-9)
    ours = collate(chains, ["a", "b"], length=24)
    assert_close(ours.ca.sum(1), torch.zeros(2, 3), 1e-9)
    assert_close(frenet_frames(ours.ca, mask), golden.result("rots"), 1e-6, mask)


def test_compat_leaves_noise_uncentred() -> None:
    batch = BackboneBatch(torch.randn(2, 9, 3), torch.ones(2, 9, dtype=torch.bool), ("a", "b"))
    means = {}
    for compat in (None, "genie-1"):
        diffusion = DiffusionConfig(num_steps=10, compat=compat)
        model = BackboneModel(
            genie_config({"c_s": 8, "c_p": 4, "n_pair_transform_layer": 0}), diffusion
        )
        noise = draw_noise(model, batch, torch.Generator().manual_seed(0)).noise
        means[compat] = noise.mean(1).abs().max().item()
    assert means[None] < 1e-6 < 0.05 < means["genie-1"]


def _denoiser(golden: Golden) -> torch.nn.Module:
    c = golden.config
    net = GenieDenoiser(genie_config(c), num_timesteps=c.get("n_timestep", 100))
    return golden.load_into(net)


def _model(golden: Golden, *, num_steps: int) -> BackboneModel:
    diffusion = DiffusionConfig(num_steps=num_steps, compat="genie-1")
    model = BackboneModel(genie_config(golden.config), diffusion)
    golden.load_into(model.network)
    return model.eval()


def _noised(golden: Golden, step: int | None = None) -> NoisedBatch:
    noise, timestep = golden.input("noise"), golden.input("s")
    if step is not None:
        noise, timestep = noise[step], timestep[step]
    mask = golden.mask()
    return NoisedBatch(golden.input("trans"), noise * mask[..., None], timestep, mask)


def _has_zero_gradient(name: str) -> bool:
    """Biases whose true gradient is zero: Adam turns their rounding noise into full steps."""
    return name.endswith(("ipa.linear_b.bias", "ipa.linear_kv.bias"))
