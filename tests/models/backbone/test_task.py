"""Training batches of the backbone model, and its loss inside the loop."""

import pickle
from pathlib import Path

import pytest
import torch

from foldwright.data.store import ChainStore
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig, LossConfig
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.task import BackboneTask, ChainBatchConfig
from foldwright.runtime.errors import InputError
from foldwright.runtime.seeds import make_generator
from foldwright.training.config import FitConfig
from foldwright.training.loop import fit
from tests.models.backbone.chain_stores import make_store

TINY = GenieConfig(
    max_length=32,
    c_s=8,
    c_p=8,
    c_position=8,
    c_timestep=8,
    num_pair_layers=1,
    c_triangle_multiplication=8,
    num_structure_layers=1,
    c_ipa=4,
    num_ipa_heads=2,
)


def distances(ca: torch.Tensor) -> torch.Tensor:
    return (ca[:, None] - ca[None]).norm(dim=-1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ChainStore:
    splits = {"train": [9, 12, 16, 20, 24, 30, 40, 50], "val": [14, 45, 18], "test": [12]}
    return make_store(tmp_path_factory.mktemp("stores") / "store", splits)


def make_task(store: ChainStore, genie: GenieConfig = TINY, **chains: object) -> BackboneTask:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = BackboneModel(genie, DiffusionConfig(num_steps=50))
    config = ChainBatchConfig.model_validate({"min_length": 10, "max_batch": 2, **chains})
    return BackboneTask(model, store, config, LossConfig(), seed=3)


def names(batches: object) -> list[str]:
    return sorted(name for batch in batches for name in batch.names)


def test_an_epoch_takes_the_chains_that_fit(store: ChainStore) -> None:
    task = make_task(store, one_per_cluster=False)
    assert names(task.training_batches(0)) == ["train1", "train2", "train3", "train4", "train5"]
    assert names(task.validation_batches()) == ["val0", "val2"]
    assert task.num_chains == {"train": 5, "val": 2}


def test_long_chains_can_be_cropped_and_clusters_balanced(store: ChainStore) -> None:
    task = make_task(store, long_chains="crop", max_length=20)
    for epoch in range(3):
        batches = list(task.training_batches(epoch))
        assert len(names(batches)) == 4, "one for each of four clusters"
        assert max(batch.ca.shape[1] for batch in batches) <= 20
    assert names(task.validation_batches()) == ["val0", "val1", "val2"], "validation takes all"


GROWING = {"start_length": 16, "hold_epochs": 1, "growth_epochs": 4}


@pytest.mark.parametrize("long_chains", ["skip", "crop"])
def test_a_curriculum_begins_with_short_chains(store: ChainStore, long_chains: str) -> None:
    """Lengths 16, 16, 20, 24, 28 and then all of up to 32 residues."""
    choice = {"one_per_cluster": False, "long_chains": long_chains}
    task, plain = make_task(store, curriculum=GROWING, **choice), make_task(store, **choice)
    longest, taken = [], []
    for epoch in range(6):
        batches = list(task.training_batches(epoch))
        longest.append(max(batch.ca.shape[1] for batch in batches))
        taken.append(len(names(batches)))
    skipped = [16, 16, 20, 24, 24, 30]
    assert longest == ([16, 16, 20, 24, 28, 32] if long_chains == "crop" else skipped)
    assert taken == ([7] * 6 if long_chains == "crop" else [2, 2, 3, 4, 4, 5])
    for mine, other in zip(task.training_batches(9), plain.training_batches(9), strict=True):
        assert mine.names == other.names
        assert torch.equal(mine.ca, other.ca)
    assert names(task.validation_batches()) == names(plain.validation_batches())


def test_epochs_of_a_curriculum_do_not_depend_on_those_before(store: ChainStore) -> None:
    """A resumed run starts in the middle."""
    first, later = (make_task(store, curriculum=GROWING, long_chains="crop") for _ in range(2))
    for epoch in range(4):
        list(first.training_batches(epoch))
    for mine, other in zip(first.training_batches(4), later.training_batches(4), strict=True):
        assert mine.names == other.names
        assert torch.equal(mine.ca, other.ca)
    assert first.settings["chains"]["curriculum"] == {**GROWING, "shape": "linear"}


def test_a_curriculum_that_starts_below_every_chain_says_so(store: ChainStore) -> None:
    with pytest.raises(InputError, match="none of 10 to 11 residues"):
        make_task(store, curriculum={**GROWING, "start_length": 11})


def test_a_budget_too_small_for_the_last_epochs_is_found_at_the_start(store: ChainStore) -> None:
    with pytest.raises(InputError, match="max_tokens=20"):
        make_task(store, curriculum=GROWING, max_tokens=20)


def test_batches_are_real_chains_moved_as_rigid_bodies(store: ChainStore) -> None:
    task = make_task(store, one_per_cluster=False, long_chains="crop")
    places = {name: index for index, name in enumerate(store.names)}
    for batch in task.training_batches(1):
        for row, name in enumerate(batch.names):
            found = batch.ca[row, batch.mask[row]]
            torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
            whole = torch.from_numpy(store[places[name]].ca)
            starts = range(len(whole) - len(found) + 1)
            pieces = [distances(whole[s : s + len(found)]) for s in starts]
            assert min((distances(found) - piece).abs().max() for piece in pieces) < 1e-4


def test_batches_depend_on_the_epoch_and_not_on_the_reader(store: ChainStore) -> None:
    task, other = make_task(store), make_task(store)
    source = pickle.loads(pickle.dumps(other.training_batches))
    for epoch in (0, 1):
        for mine, sent in zip(task.training_batches(epoch), source(epoch), strict=True):
            assert mine.names == sent.names
            assert torch.equal(mine.ca, sent.ca)
    assert not torch.equal(task.training_batches(0)[0].ca, task.training_batches(1)[0].ca)


def test_what_workers_get_does_not_hold_the_model(store: ChainStore) -> None:
    assert len(pickle.dumps(make_task(store).training_batches)) < 20_000


def test_validation_is_the_same_every_time_and_not_turned(store: ChainStore) -> None:
    task = make_task(store)
    first = {n: c for b in task.validation_batches() for n, c in zip(b.names, b.ca, strict=True)}
    chain = torch.from_numpy(store[store.names.index("val0")].ca)
    torch.testing.assert_close(first["val0"][: len(chain)], chain - chain.mean(0))


def test_loss_is_repeatable_and_weighs_residues(store: ChainStore) -> None:
    task = make_task(store)
    task.module.eval()
    batch = task.validation_batches()[0]
    losses = [task.loss(batch, make_generator(5)).total for _ in range(2)]
    assert torch.equal(*losses)
    assert task.loss_weight(batch) == batch.mask.sum()
    assert task.batch_size(batch) == len(batch.names)


def test_self_conditioning_takes_its_share_of_batches(store: ChainStore) -> None:
    genie = TINY.model_copy(update={"self_conditioning": True})
    task = make_task(store, genie, self_condition_rate=0.3)
    batch, calls = task.validation_batches()[0], []
    task.module.network.register_forward_hook(lambda *_: calls.append(1))
    for seed in range(100):
        task.loss(batch, make_generator(seed))
    assert 115 <= len(calls) <= 147, "100 + about 30"


def test_a_split_without_usable_chains_says_what_to_change(store: ChainStore) -> None:
    with pytest.raises(InputError, match="split train has 8 chains, none of 31 to 32 residues"):
        make_task(store, min_length=31)


def test_a_store_without_validation_chains_trains_with_a_warning(tmp_path: Path, caplog) -> None:
    task = make_task(make_store(tmp_path / "store", {"train": [12, 14]}))
    assert len(task.validation_batches()) == 0
    assert "no chain of the split val" in caplog.text


def test_the_model_learns_its_few_chains(store: ChainStore, tmp_path: Path) -> None:
    task = make_task(store, one_per_cluster=False, max_batch=8)
    batch = task.training_batches(99)[0]

    def loss() -> float:
        """Mean over fixed draws of noise, so that two values differ by the weights alone."""
        task.module.eval()
        with torch.no_grad():
            totals = [task.loss(batch, make_generator(seed)).total for seed in range(16)]
        return float(torch.stack(totals).mean())

    before = loss()
    values = {"max_steps": 40, "validate_every": None, "device": "cpu"}
    fit(task, FitConfig.model_validate({**values, "optimiser": {"learning_rate": 1e-2}}), tmp_path)
    assert before == pytest.approx(1.596, rel=0.05), "an untrained network predicts no noise"
    assert loss() < 0.95 * before
