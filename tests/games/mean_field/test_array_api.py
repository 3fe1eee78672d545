"""Operators and kernels on arrays of other libraries: `array_api_strict` holds them to the standard; JAX and PyTorch where installed.

`array_api_strict` also plays a second device, as a graphics card would be one: nothing may be left behind on the first.
"""

import importlib

import numpy as np
import pytest

from stackopt.errors import MissingPackage
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.kernels import Dense, Factored, policy_matrix
from stackopt.games.mean_field.namespace import namespace

K, T, R, C, B, J, D = 2, 3, 2, 3, 2, 2, 2
S = R * C


class Library:
    """Arrays of one library from NumPy's and back."""

    def __init__(self, name, device=None):
        self.module = importlib.import_module({"jax": "jax.numpy"}.get(name, name))
        self.place = {} if device is None else {"device": self.module.Device(device)}
        if name == "jax":
            importlib.import_module("jax").config.update("jax_enable_x64", True)

    def __call__(self, array):
        return self.module.asarray(np.array(array), **self.place)  # a copy: PyTorch warns of read-only ones

    def back(self, array):
        assert not isinstance(array, np.ndarray), "the result belongs to the library of the arguments"
        if self.place:
            assert array.device == self.place["device"], "and stays on their device"
            array = array.to_device(self.module.Device("CPU_DEVICE"))
        return np.asarray(array)


@pytest.fixture(params=["array_api_strict", "array_api_strict device1", "jax", "torch"])
def library(request):
    name, *device = request.param.split()
    pytest.importorskip(name)
    if name == "torch":
        pytest.importorskip("array_api_compat")
    return Library(name, *device)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def same(library, found, expected):
    np.testing.assert_allclose(library.back(found), expected, rtol=1e-13, atol=1e-13)


OPERATORS = {
    "flow": lambda rng: (rng.random((K, T, S)), rng.random((K, T, S, B))),
    "aggregate": lambda rng: (rng.random((K, T, S, B)), rng.random(K), rng.normal(size=(1, T, S, B, J))),
    "affine": lambda rng: (
        rng.normal(size=(K, T, S, B)), rng.normal(size=(1, T, S, B, J)), rng.normal(size=(T, J)), rng.normal(size=(K, 1, S, B, D)), rng.normal(size=D)
    ),
    "affine_kernel": lambda rng: (
        rng.random((K, T, S, B, S)), rng.random((1, 1, J, S, B, S)), rng.random((T, J)), rng.random((K, 1, D, S, B, S)), rng.random(D)
    ),
    "q_values": lambda rng: (rng.normal(size=(K, T, S, B)), rng.normal(size=(K, T, S, B)), 0.9),
    "best_value": lambda rng: (rng.normal(size=(K, T, S, B)),),
    "soft_value": lambda rng: (rng.normal(size=(K, T, S, B)), 0.1),
    "soft_policy": lambda rng: (rng.normal(size=(K, T, S, B)), 0.1),
    "greedy_policy": lambda rng: (rng.integers(0, 2, (K, T, S, B)).astype(float),),
    "policy_average": lambda rng: (rng.random((K, T, S, B)), rng.normal(size=(K, T, S, B))),
    "entropy": lambda rng: (np.maximum(rng.random((K, T, S, B)) - 0.3, 0.0),),
}  # fmt: skip


def test_every_operator_is_here():
    public = {name for name, value in vars(operators).items() if callable(value) and not name.startswith("_") and value.__module__ == operators.__name__}
    assert public == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_run_unchanged(name, library, rng):
    arguments = OPERATORS[name](rng)
    operator = getattr(operators, name)
    same(library, operator(*(library(a) if isinstance(a, np.ndarray) else a for a in arguments)), operator(*arguments))


@pytest.mark.parametrize("statistic", ["states", "state-actions"])
def test_named_statistics_run_unchanged(statistic, library, rng):
    flows, weights = rng.random((K, T, S, B)), rng.random(K)
    same(library, operators.aggregate(library(flows), library(weights), statistic), operators.aggregate(flows, weights, statistic))


def kernels(rng):
    """Pairs of a kernel's class and its arrays."""
    rows = rng.dirichlet(np.ones(S), (K, T, S, B))
    signal = rng.dirichlet(np.ones(R), (T, R))
    yield Dense, (rows,)
    yield Dense, (rows[0],)
    yield Factored, (rng.integers(0, C, (C, B)), signal)
    yield Factored, (rng.integers(0, C, (K, 1, C, B)), signal)
    yield Factored, (rng.integers(0, C, (C, B, 2)), signal, rng.dirichlet(np.ones(2), (C, B)))
    yield Factored, (rng.integers(0, C, (K, T, C, B, 2)), signal[0], rng.dirichlet(np.ones(2), (K, 1, C, B)))


def test_kernels_run_unchanged(library, rng):
    values, flow, policy, t, k = rng.normal(size=(K, T, S)), rng.random((K, T, S, B)), rng.dirichlet(np.ones(B), (K, T, S)), np.array([2, 0]), np.array([1])
    for kind, arrays in kernels(rng):
        ours, theirs = kind(*arrays), kind(*map(library, arrays))
        assert theirs.shape == ours.shape
        same(library, theirs.expect(library(values)), ours.expect(values))
        same(library, theirs.push(library(flow)), ours.push(flow))
        same(library, theirs.stages(library(t)).expect(library(values[:, t])), ours.stages(t).expect(values[:, t]))
        same(library, theirs.types(library(k)).push(library(flow[k])), ours.types(k).push(flow[k]))
        same(library, theirs.types(slice(0, 1)).push(library(flow[:1])), ours.types(slice(0, 1)).push(flow[:1]))
        same(library, theirs.dense(), ours.dense())
        same(library, policy_matrix(theirs, library(policy)), policy_matrix(ours, policy))


def test_a_sweep_of_a_population_runs_unchanged(library, rng):
    """One backward and one forward day, put together from operators and a kernel: what a solver does on a device."""
    kernel_of, arrays = Factored, (rng.integers(0, C, (C, B)), rng.dirichlet(np.ones(R), (T, R)))
    reward, value, law = rng.normal(size=(K, T, S, B)), rng.normal(size=(K, 1, S)), rng.dirichlet(np.ones(S), (K, 1))

    def sweep(convert):
        kernel, following, here, policies = kernel_of(*map(convert, arrays)), convert(value), convert(law), []
        for t in range(T - 1, -1, -1):
            stage = kernel.stages(convert(np.array([t])))
            q = operators.q_values(convert(reward[:, t : t + 1]), stage.expect(following), 0.9)
            following = operators.soft_value(q, 0.1)
            policies.insert(0, operators.soft_policy(q, 0.1))
        for t in range(T):
            here = kernel.stages(convert(np.array([t]))).push(operators.flow(here, policies[t]))
        return following, here

    for found, expected in zip(sweep(library), sweep(np.asarray), strict=True):
        same(library, found, expected)


def test_a_wrong_kernel_of_another_library_is_refused(library):
    from stackopt.errors import InvalidGame

    with pytest.raises(InvalidGame, match=r"\[kernel-rows\]"):
        Dense(library(np.full((2, 1, 2), 0.4)))
    with pytest.raises(InvalidGame, match=r"\[kernel-move\]"):
        Factored(library(np.array([[0, 2], [1, 0]])), library(np.eye(2)))


def test_the_namespace_is_that_of_the_arrays():
    strict = pytest.importorskip("array_api_strict")
    assert namespace(1.0, None, np.zeros(2)) is np
    assert namespace(np.zeros(2), strict.zeros(2)) is strict


def test_tensors_without_their_adapter_name_what_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    monkeypatch.setitem(sys.modules, "array_api_compat.torch", None)
    tensor = type("Tensor", (), {"__module__": "torch"})()
    with pytest.raises(MissingPackage, match="array-api-compat"):
        namespace(tensor)
