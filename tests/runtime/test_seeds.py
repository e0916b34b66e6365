import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwright.runtime.seeds import derive_seed, make_generator


def test_seeds_never_change_between_versions():
    # printf '[7,"step",3]' | sha256sum: the first 16 digits, halved
    assert derive_seed(7) == 3193050612831425908
    assert derive_seed(7, 3) == 196538986798356929
    assert derive_seed(7, "step", 3) == 101918674624068500


@settings(max_examples=30, deadline=None)
@given(st.integers(), st.lists(st.integers() | st.text(), max_size=3))
def test_a_seed_fits_63_bits(seed, parts):
    assert 0 <= derive_seed(seed, *parts) < 2**63


def test_different_parts_give_different_seeds():
    keys = [(7,), (8,), (7, 0), (7, "0"), (7, 0, 0), (7, "a", "b"), (7, "ab"), (7, "a,b"), (-7,)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)
    assert len({derive_seed(1, item) for item in range(10_000)}) == 10_000


def test_bits_are_balanced():
    seeds = torch.tensor([derive_seed(0, item) for item in range(4000)])
    share = torch.stack([(seeds >> bit & 1).double().mean() for bit in range(63)])
    assert float((share - 0.5).abs().max()) < 4.5 * 0.5 / 4000**0.5


def test_generator_is_that_of_the_derived_seed():
    one, two = make_generator(5, "noise", 3), make_generator(derive_seed(5, "noise", 3))
    assert torch.equal(torch.randn(8, generator=one), torch.randn(8, generator=two))
    plain = torch.Generator().manual_seed(5)
    assert torch.equal(torch.rand(3, generator=make_generator(5)), torch.rand(3, generator=plain))


def test_generators_of_neighbours_are_independent():
    draws = torch.stack([torch.randn(500, generator=make_generator(1, i)) for i in range(20)])
    correlation = torch.corrcoef(draws) - torch.eye(20)
    assert float(correlation.abs().max()) < 0.2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_generator_lives_where_it_is_asked_to():
    assert make_generator(1, 2, device="cuda").device.type == "cuda"
