import pytest
import torch

from foldwright.runtime.finite import NonFinite, first_non_finite


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_name_index_and_count_of_the_first(bad, dtype):
    whole = torch.zeros(3, 4, dtype=dtype)
    broken = whole.clone()
    broken[1, 2] = broken[2, 0] = bad
    later = broken.clone()
    found = first_non_finite({"whole": whole, "broken": broken, "later": later})
    assert found == NonFinite("broken", (1, 2), 2)
    assert str(found) == "broken has 2 non-finite value(s), the first at [1, 2]"


def test_nothing_to_find():
    finite = {
        "empty": torch.zeros(0, 3),
        "mask": torch.ones(3, dtype=torch.bool),
        "index": torch.arange(3),
        "largest": torch.tensor(torch.finfo(torch.float32).max),
    }
    assert first_non_finite(finite) is None
    assert first_non_finite({}) is None


def test_scalar_that_needs_a_gradient():
    loss = torch.tensor(float("nan"), requires_grad=True)
    assert first_non_finite({"loss": loss}) == NonFinite("loss", (), 1)
