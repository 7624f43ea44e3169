"""CategoryMemory: what was kept comes back, in as many bits as are said."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from skaba.augmenters import Categories, CategoryMemory, Cutoff, Percentiles
from tests.tiny_nets import seeded

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class PretendedGPU(TorchFunctionMode):
    """Tensors say that they lie on a GPU, so that its formulas run; they are computed on the CPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func == torch.Tensor.device.__get__:
            return GPU
        args = [CPU if isinstance(value, torch.device) else value for value in args]
        return func(*args, **{name: CPU if name == "device" else value for name, value in (kwargs or {}).items()})


def masks(n_boundaries, n_samples, n_features, seed=0):
    """Random bits for each boundary."""
    shape = n_boundaries, n_samples, n_features
    return list(torch.randint(2, shape, generator=seeded(seed)).bool())


def prepared(n_samples, n_features, n_boundaries, device=CPU, **parameters):
    memory = CategoryMemory(n_samples=n_samples, **parameters)
    memory.prepare(torch.arange(n_samples), torch.empty(n_samples, n_features, device=device), n_boundaries)
    return memory


def filled(n_samples, n_features, n_boundaries, device=CPU, seed=0):
    memory = prepared(n_samples, n_features, n_boundaries, device, data="some data")
    below = masks(n_boundaries, n_samples, n_features, seed)
    memory.keep(torch.arange(n_samples), Categories(below, n_features))
    return memory, below


def equal(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# --- what is kept comes back


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(0, 3), st.integers(0, 99))
def test_what_was_kept_comes_back(n_samples, n_features, n_boundaries, seed):
    memory, below = filled(n_samples, n_features, n_boundaries, seed=seed)
    recalled, known = memory.recall(torch.arange(n_samples))
    assert equal(recalled.below, below)
    assert known.all()
    assert all(features.dtype == torch.bool for features in recalled.below)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(0, 3), st.integers(0, 99))
def test_on_a_gpu_the_same_bits_are_kept(n_samples, n_features, n_boundaries, seed):
    """So a net that was pickled there goes on here."""
    memory, below = filled(n_samples, n_features, n_boundaries, seed=seed)
    with PretendedGPU():
        there, _ = filled(n_samples, n_features, n_boundaries, GPU, seed=seed)
        recalled, known = there.recall(torch.arange(n_samples))
        assert memory.bits.device == GPU  # the formulas were not those of the CPU
    assert torch.equal(there.bits, memory.bits)
    assert equal(recalled.below, below)
    assert known.tolist() == [True] * n_samples


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True), st.data())
def test_samples_are_kept_and_recalled_in_any_order(index, data):
    memory = prepared(10, 13, 2)
    below = masks(2, len(index), 13)
    memory.keep(torch.tensor(index), Categories(below, 13))
    order = data.draw(st.permutations(range(10)))
    recalled, known = memory.recall(torch.tensor(order))
    assert known.tolist() == [number in index for number in order]
    for row, number in enumerate(order):
        for boundary in range(2):
            wanted = below[boundary][index.index(number)] if number in index else torch.zeros(13, dtype=torch.bool)
            assert torch.equal(recalled.below[boundary][row], wanted)


def test_a_later_visit_replaces_an_earlier_one_and_nothing_else():
    memory, below = filled(6, 21, 2)
    later = masks(2, 2, 21, seed=1)
    memory.keep(torch.tensor([4, 1]), Categories(later, 21))
    recalled, _ = memory.recall(torch.arange(6))
    assert equal([features[[4, 1]] for features in recalled.below], later)
    rest = [0, 2, 3, 5]
    assert equal([features[rest] for features in recalled.below], [features[rest] for features in below])


# --- how much it takes


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 4))
def test_it_takes_as_much_as_is_said(n_samples, n_features, n_boundaries):
    said = []
    assert CategoryMemory().n_bytes == 0
    memory = prepared(n_samples, n_features, n_boundaries, announce=said.append)
    assert [f"take {memory.n_bytes / 1e6:,.2f} MB of memory" in each for each in said] == [True]
    assert memory.n_bytes == sum(t.untyped_storage().nbytes() for t in (memory.bits, memory.blank, memory.known))


@pytest.mark.parametrize(("selection", "bits"), [(Cutoff(), 1), (Percentiles(0.5), 1), (Percentiles(0.1, 0.9), 2)])
def test_bits_a_feature(selection, bits):
    n_samples, n_features = 50, 784
    n_bytes = prepared(n_samples, n_features, selection.n_categories - 1).n_bytes
    # And two bytes per sample: whether it is known, and whether its map says nothing.
    assert (n_bytes - 2 * n_samples) * 8 == bits * n_samples * n_features


def test_a_part_of_a_byte_counts_as_a_byte():
    assert [prepared(1, n, 1).n_bytes for n in (1, 8, 9, 16, 17)] == [3, 3, 4, 4, 5]


def test_maps_that_say_nothing_are_remembered_and_forgotten():
    memory = prepared(4, 3, 1)
    memory.keep(torch.tensor([0, 2]), Cutoff().sort(torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]])))
    assert memory.recall(torch.arange(4))[0].blank.tolist() == [True, False, False, False]
    memory.keep(torch.tensor([0]), Cutoff().sort(torch.tensor([[1.0, -1.0, 0.0]])))
    assert not memory.recall(torch.arange(4))[0].blank.any()


# --- how it grows


def test_it_grows_with_the_largest_number_and_forgets_nothing():
    memory, (first, later) = CategoryMemory(), (masks(2, 3, 21, seed) for seed in range(2))
    for index, below in ((torch.tensor([2, 0, 1]), first), (torch.tensor([40, 3, 17]), later)):
        memory.prepare(index, torch.empty(3, 21), 2)
        memory.keep(index, Categories(below, 21))
    recalled, known = memory.recall(torch.tensor([2, 0, 1, 40, 3, 17, 5]))
    assert known.tolist() == [True] * 6 + [False]
    assert equal([features[:3] for features in recalled.below], first)
    assert equal([features[3:6] for features in recalled.below], later)


def test_room_that_is_there_is_not_made_again():
    said = []
    memory = prepared(10, 9, 1, announce=said.append)
    bits = memory.bits
    memory.prepare(torch.tensor([9]), torch.empty(1, 9), 1)
    assert memory.bits is bits
    assert len(said) == 1


def test_samples_of_another_shape_are_refused():
    memory = prepared(4, 9, 2)
    with pytest.raises(ValueError, match=r"samples must have one shape; earlier ones had \(9,\), these have \(3, 3\)"):
        memory.prepare(torch.tensor([0]), torch.empty(1, 3, 3), 2)


# --- its state


def test_too_early():
    memory = CategoryMemory()
    for use in (
        lambda: memory.recall(torch.tensor([0])),
        lambda: memory.keep(torch.tensor([0]), Categories(masks(1, 1, 9), 9)),
    ):
        with pytest.raises(ValueError, match="cache of categories is empty: call prepare first"):
            use()


def test_boundaries_that_do_not_match_are_refused():
    memory, _ = filled(4, 9, 2)
    with pytest.raises(ValueError, match="2 boundaries of 9 features, not 1 of 9"):
        memory.keep(torch.arange(4), Categories(masks(1, 4, 9), 9))


def test_goes_through_pickle_and_through_saved_files(tmp_path):
    memory, below = filled(5, 20, 2)
    torch.save(memory.state_dict(), tmp_path / "state.pt")
    loaded = CategoryMemory("other data")
    loaded.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for copy in (loaded, pickle.loads(pickle.dumps(memory))):  # noqa: S301
        assert (copy.data, copy.shape) == ("some data", (20,))
        recalled, known = copy.recall(torch.arange(5))
        assert equal(recalled.below, below)
        assert known.all()


def test_a_memory_that_was_loaded_onto_a_device_goes_on():
    """Loading moves all its tensors there; which samples are known is read on the CPU."""
    memory, _ = filled(4, 9, 2)
    index = torch.arange(4)
    memory.known = PretendedOnGPU(memory.known)
    assert memory.holds(index)
    assert memory.recall(index)[1].tolist() == [True] * 4


class PretendedOnGPU:
    """Known samples that can be used only once they are on the CPU."""

    def __init__(self, known):
        self.known = known

    def cpu(self):
        return self.known
