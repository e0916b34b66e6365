import pytest
import torch

from foldwright.runtime.errors import InputError
from foldwright.training.precision import choose_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_is_float32_on_the_cpu_and_says_why() -> None:
    policy = choose_precision("auto", CPU)
    assert (policy.dtype, policy.scales_loss) == (torch.float32, False)
    assert policy.reason == "auto: cpu gains nothing"


@pytest.mark.parametrize(("capable", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_auto_on_a_gpu_takes_what_it_computes_in(monkeypatch, capable, dtype) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: capable)
    policy = choose_precision("auto", CUDA)
    assert (policy.dtype, policy.scales_loss) == (dtype, not capable)
    assert "bfloat16" in policy.reason


def test_a_format_the_device_lacks_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    with pytest.raises(InputError, match="bf16 was asked for, but Old GPU cannot; write"):
        choose_precision("bf16", CUDA)
    with pytest.raises(InputError, match="mps trains in fp32"):
        choose_precision("fp16", torch.device("mps"))


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_matrix_products_are_computed_in_the_format(name, dtype) -> None:
    policy = choose_precision(name, CPU)
    with policy.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert policy.scaler().is_enabled() == (name == "fp16")
