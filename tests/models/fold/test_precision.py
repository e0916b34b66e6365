"""The trunk in bfloat16: which parts change, and by how much the results do."""

from pathlib import Path

import torch

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.config import FoldSamplerConfig
from foldwright.models.fold.plan import FoldPlan
from foldwright.models.fold.predict import FoldDraws, predict
from foldwright.models.fold.weights.load import load_fold
from tests.models.fold.golden_files import TINY, LoadGolden
from tests.models.fold.test_network_golden import given_draws


def test_results_drift_no_further_than_the_original_s(
    shared_golden: Path, fold_golden: LoadGolden
) -> None:
    golden = fold_golden("model_s55")
    network = load_fold(shared_golden / "af3" / "model_s55.bin.zst", TINY, "bfloat16-trunk")
    inputs = inputs_from_arrays(golden.batch(), "golden")
    orders = golden.input("msa_row_order").long()
    found = predict(
        network,
        inputs,
        FoldSamplerConfig(num_recycles=2, steps=5),
        num_samples=1,
        draws=FoldDraws(lambda index: orders[index], lambda index: given_draws(golden, index)),
        plan=FoldPlan(keep_logits=True, samples_together=1, factors_at_once=1),
    )
    real, both = inputs.tokens.mask, inputs.tokens.pair_mask
    cases = {
        "single_embeddings": (found.trunk.single, None, real),
        "atom_positions": (found.positions[0], 0, inputs.reference.real),
        "predicted_lddt": (found.confidence[0].lddt, 0, inputs.reference.real),
        "full_pae": (found.confidence[0].aligned_error, 0, both),
        "full_pde": (found.confidence[0].distance_error, 0, both),
    }
    for name, (ours, sample, where) in cases.items():
        exact, theirs = golden.result(name), golden.tensor(f"outbf16/{name}")
        if sample is not None:
            exact, theirs = exact[sample], theirs[sample]
        drift = (theirs - exact)[where].double().square().mean().sqrt()
        own = (ours - exact)[where].double().square().mean().sqrt()
        assert own < 2 * drift, name
        assert own > drift / 10, f"{name} shows no rounding: is the trunk in bfloat16?"


def test_the_denoiser_and_the_norms_stay_in_single_precision(shared_golden: Path) -> None:
    network = load_fold(shared_golden / "af3" / "model_s55.bin.zst", TINY, "bfloat16-trunk")
    formats = {name: value.dtype for name, value in network.named_parameters()}
    assert formats["trunk.blocks.0.pair.rows.query.weight"] == torch.bfloat16
    assert formats["confidence.blocks.0.logits.weight"] == torch.bfloat16
    single = {
        name
        for name in formats
        if name.startswith(("diffusion.", "input_encoder.", "distogram.")) or "norm" in name
    }
    assert {formats[name] for name in single} == {torch.float32}
    assert formats["confidence.lddt_logits.weight"] == torch.float32
