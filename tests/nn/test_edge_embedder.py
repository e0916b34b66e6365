"""Edge embedders give FlashIPA's numbers with FlashIPA's parameters."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from foldwright.nn.edge_embedder import (
    DenseEdgeEmbedder,
    LinearFactorizer,
    NeighbourEdgeEmbedder,
    distance_bins,
    index_encoding,
)
from foldwright.nn.pair import DensePair, FactorizedPair
from tests.golden_numbers import Golden, assert_close, load_golden
from tests.nn.random_blocks import normal, with_random_weights

DOUBLE = (torch.float64, 1e-9, 1e-9)


def embedder_of(golden: Golden) -> nn.Module:
    c = golden.config
    if c.get("mode") == "flash_1d_bias":
        return NeighbourEdgeEmbedder(
            c["c_s"],
            c["c_p"],
            z_rank=c["z_factor_rank"],
            feat_dim=c["feat_dim"],
            num_neighbours=c["k"],
        )
    factorizer = None
    if c.get("mode") != "orig_2d_bias":
        factorizer = LinearFactorizer(c["max_len"], c["c_p"], c["z_factor_rank"])
    return DenseEdgeEmbedder(c["c_s"], c["c_p"], feat_dim=c["feat_dim"], factorizer=factorizer)


def seen_by(mask: Tensor, mode: str) -> Tensor:
    """The original's neighbour search takes padding for residues; ours would leave it out."""
    return torch.ones_like(mask) if mode == "flash_1d_bias" else mask


def outputs_of(pair: DensePair | FactorizedPair) -> dict[str, Tensor]:
    if isinstance(pair, DensePair):
        return {"edge_embed": pair.values}
    return {"z_factor_1": pair.left, "z_factor_2": pair.right}


@pytest.mark.parametrize(
    ("mode", "dtype", "tolerance", "grad_tolerance"),
    [
        ("orig_2d_bias", *DOUBLE),
        ("orig_2d_bias", torch.float32, 1e-5, 2e-5),
        ("flash_1d_bias", *DOUBLE),
        ("flash_1d_bias", torch.float32, 1e-5, 2e-5),
        ("flash_2d_factorize_bias", *DOUBLE),
        ("flash_2d_factorize_bias", torch.float32, 5e-5, 5e-3),
    ],
)
def test_numbers_of_flash_ipa(
    shared_golden: Path, mode: str, dtype: torch.dtype, tolerance: float, grad_tolerance: float
) -> None:
    golden = load_golden(shared_golden, f"flash_ipa/edge_embedder_{mode}", dtype)
    embedder = golden.load_into(embedder_of(golden))
    node_embed = golden.input("node_embed").requires_grad_()
    mask = golden.input("node_mask") > 0.5
    pair = embedder(
        node_embed, golden.input("translations"), seen_by(mask, mode), golden.input("trans_sc")
    )
    outputs = outputs_of(pair)
    real = mask[:, :, None] & mask[:, None] if isinstance(pair, DensePair) else mask
    total = torch.zeros((), dtype=dtype)
    for name, found in outputs.items():
        assert_close(found, golden.result(name), tolerance, real)
        total = total + (found * golden.tensor(f"cot.{name}")).sum()
    (gradient,) = torch.autograd.grad(total, node_embed)
    assert_close(gradient, torch.from_numpy(golden.arrays["grad64.node_embed"]), grad_tolerance)


def test_factors_of_a_given_pair_tensor(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/edge_embedder_factorize_given_edges")
    c = golden.config
    factorizer = LinearFactorizer(c["max_len"], c["c_p"], c["z_factor_rank"]).double()
    prefix = "factorizer."
    names = [n for n in golden.names("w.") if n.startswith(prefix)]
    factorizer.load_state_dict({n.removeprefix(prefix): golden.tensor(f"w.{n}") for n in names})
    edges = golden.input("edge_embed").requires_grad_()
    outputs = outputs_of(factorizer(edges))
    mask = golden.input("node_mask") > 0.5
    total = torch.zeros((), dtype=torch.float64)
    for name, found in outputs.items():
        assert_close(found, golden.result(name), 1e-9, mask)
        total = total + (found * golden.tensor(f"cot.{name}")).sum()
    (gradient,) = torch.autograd.grad(total, edges)
    assert_close(gradient, torch.from_numpy(golden.arrays["grad64.edge_embed"]), 1e-9)


def test_linear_factorizer(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/linear_factorizer")
    c = golden.config
    factorizer = LinearFactorizer(c["in_L"], c["in_D"], c["target_rank"])
    x = golden.input("x")
    pair = golden.load_into(factorizer)(x)
    mask = golden.input("node_mask") > 0.5
    for found, name in ((pair.left, "row"), (pair.right, "col")):
        expected = golden.result(name).view(len(x), x.shape[-1], x.shape[1], -1)
        assert_close(found, expected.permute(0, 2, 3, 1), 1e-9, mask)


@pytest.mark.parametrize("name", ["index_embedding_16", "index_embedding_64"])
def test_index_encoding(shared_golden: Path, name: str) -> None:
    golden = load_golden(shared_golden, f"flash_ipa/{name}")
    channels = golden.config["embed_size"]
    found = index_encoding(golden.input("indices"), channels=channels, dtype=torch.float64)
    assert_close(found, golden.result("emb"), 1e-9)


def test_distance_bins_of_flash_ipa(shared_golden: Path) -> None:
    golden = load_golden(shared_golden, "flash_ipa/distogram", torch.float32)
    positions = golden.input("pos")
    distance = (positions[:, :, None] - positions[:, None]).norm(dim=-1)
    assert torch.equal(distance_bins(distance), golden.tensor("out.dgram"))


def test_distance_bins_are_open_at_the_far_end_and_empty_at_zero() -> None:
    bins = distance_bins(torch.tensor([0.0, 0.5, 19.0, 1e4]))
    assert bins.sum(-1).tolist() == [0, 1, 1, 1]
    assert bins[1, 0] == bins[3, -1] == 1


def neighbour_embedder(**more: int) -> NeighbourEdgeEmbedder:
    sizes = {"z_rank": 16, "feat_dim": 4, "num_neighbours": 5, "num_rbf": 6} | more
    return with_random_weights(NeighbourEdgeEmbedder(6, 8, **sizes))


def test_rank_16_with_radial_functions_ignores_padding_and_motion() -> None:
    embedder = neighbour_embedder()
    s, x = normal(1, 12, 6), 4 * normal(1, 12, 3, seed=2)
    mask = torch.arange(12)[None] < 9
    pair = embedder(s, x, mask)
    assert pair.left.shape == pair.right.shape == (1, 12, 16, 8)
    assert pair.left[:, 9:].abs().max() == 0
    turn = torch.linalg.qr(normal(3, 3, seed=3))[0]
    moved = embedder(s[:, :9], x[:, :9] @ turn.T + 7.0, mask[:, :9])
    torch.testing.assert_close(moved.left, pair.left[:, :9])
    torch.testing.assert_close(moved.right, pair.right[:, :9])


def test_a_chain_shorter_than_its_neighbourhood() -> None:
    embedder = neighbour_embedder()
    s, x = normal(1, 3, 6), normal(1, 3, 3, seed=2)
    pair = embedder(s, x, torch.ones(1, 3, dtype=torch.bool))
    assert torch.isfinite(pair.left).all()


def test_factorizer_refuses_longer_chains() -> None:
    with pytest.raises(ValueError, match="built for 4 residues, got 5"):
        LinearFactorizer(4, 2, 3)(torch.zeros(1, 5, 5, 2))
