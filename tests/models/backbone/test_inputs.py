"""Batches of chains: padding, centring and what the original did instead."""

import pytest
import torch

from foldwright.models.backbone.inputs import BackboneBatch, centre, collate
from tests.golden_numbers import assert_close
from tests.models.backbone.small_models import walks


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chains_keep_their_shape_and_padding_is_zero(dtype: torch.dtype) -> None:
    chains = [chain + 500 for chain in walks([5, 9, 1], dtype=dtype)]
    batch = collate(chains, ["a", "b", "c"], length=11)
    assert batch.ca.shape == (3, 11, 3)
    assert batch.ca.dtype == dtype
    assert batch.names == ("a", "b", "c")
    assert batch.mask.sum(1).tolist() == [5, 9, 1]
    assert not batch.ca[~batch.mask].any()
    for row, chain in enumerate(chains):
        found = batch.ca[row, : len(chain)]
        assert batch.mask[row, : len(chain)].all()
        assert_close(found, chain - chain.mean(0), 1e-3 if dtype == torch.float32 else 1e-11)


def test_padding_does_not_move_a_chain() -> None:
    chains = walks([5, 9])
    narrow, wide = (collate(chains, ["a", "b"], length=n) for n in (None, 20))
    assert narrow.ca.shape == (2, 9, 3)
    assert torch.equal(wide.ca[:, :9], narrow.ca)
    assert torch.equal(wide.mask[:, :9], narrow.mask)


def test_original_takes_the_mean_over_padding_too() -> None:
    (chain,) = walks([6])
    batch = collate([chain], ["a"], length=24, compat="genie-1")
    shift = chain.sum(0) / 24
    assert_close(batch.ca[0, :6], chain - shift, 1e-12)
    assert_close(batch.ca[0, 6:], (-shift).expand(18, 3), 1e-12)


def test_chain_longer_than_the_batch_is_refused() -> None:
    message = "a chain of 9 residues does not fit a batch of length 8"
    with pytest.raises(ValueError, match=message):
        collate(walks([5, 9]), ["a", "b"], length=8)


def test_names_and_chains_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 chains but 1 names"):
        collate(walks([5, 9]), ["a"])


def test_centre_of_a_chain_of_padding_alone_is_zero() -> None:
    ca = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 4, [False] * 4])
    centred = centre(ca, mask)
    assert_close(centred[0].sum(0), torch.zeros(3), 1e-5)
    assert torch.equal(centred[1], torch.zeros(4, 3))
    assert_close(centre(centred, mask), centred, 1e-6)


def test_batch_moves_with_its_names() -> None:
    batch = collate(walks([3]), ["a"])
    copy = batch.to(torch.device("cpu"))
    assert isinstance(copy, BackboneBatch)
    assert copy.names == ("a",)
    assert torch.equal(copy.ca, batch.ca)


def test_batch_is_pinned_with_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU torch refuses to pin; that each tensor is asked for once can be seen."""
    asked: list[torch.Tensor] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        asked.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    batch = collate(walks([3, 5]), ["a", "b"])
    pinned = torch.utils.data._utils.pin_memory.pin_memory(batch)
    assert [id(tensor) for tensor in asked] == [id(batch.ca), id(batch.mask)]
    assert isinstance(pinned, BackboneBatch)
    assert pinned.names == ("a", "b")
    assert pinned.ca is not batch.ca
    assert torch.equal(pinned.ca, batch.ca)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device to pin memory for")
def test_pinned_batch_is_page_locked() -> None:
    pinned = collate(walks([3, 5]), ["a", "b"]).pin_memory()
    assert pinned.ca.is_pinned()
    assert pinned.mask.is_pinned()
    assert pinned.to(torch.device("cuda")).ca.is_cuda
