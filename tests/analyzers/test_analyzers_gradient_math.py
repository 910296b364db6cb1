"""Reconstruction, labels, protection and imprints on true gradients of small networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gradient_making import Mlp, batch, imprint_model
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.analyzers import gradient_files, gradient_model, gradient_protect
from irkit.analyzers.gradient_analysis import (
    EXACT,
    OPTIMISATION,
    PARTIAL,
    PROTECTED,
    UNREADABLE,
    Analysis,
    analyse,
)
from irkit.analyzers.gradient_invert import invert, labels, tokens, vectors


def save(path: Path, arrays: dict, **meta: object) -> Path:
    extra = {f"meta.{name}": np.array(value) for name, value in meta.items()}
    np.savez(path, **arrays, **extra)
    return path


def study(path: Path, sent: Path | None = None) -> Analysis:
    with gradient_files.opened(path, most=1 << 28) as artifact:
        if sent is None:
            return analyse(artifact)
        with gradient_files.opened(sent, most=1 << 28) as model:
            return analyse(artifact, model)


def found(analysis: Analysis, how: str = "agreed") -> np.ndarray:
    rows = [
        c.values[[i for i, h in enumerate(c.how) if h == how]]
        for c in analysis.candidates
        if c.record
    ]
    return np.concatenate(rows) if rows else np.zeros((0, 1))


def nearest(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Largest absolute error per true record to its nearest reconstruction."""
    return np.abs(x[:, None, :] - rows[None]).max(axis=2).min(axis=1)


def test_backward_pass_is_the_derivative_of_the_loss():
    """The tests' own network is checked against finite differences."""
    model = Mlp.random([5, 7, 3], 1)
    x, y = batch(4, 5, 3, 2)
    g = model.gradient(x, y)
    for name, i in (("fc1", 0), ("fc2", 1)):
        for array, got in (
            (model.weights[i], g[f"{name}.weight"]),
            (model.biases[i], g[f"{name}.bias"]),
        ):
            flat = array.reshape(-1)
            for place in range(0, flat.size, 5):
                keep = flat[place]
                flat[place] = keep + 1e-6
                up = model.loss(x, y)
                flat[place] = keep - 1e-6
                down = model.loss(x, y)
                flat[place] = keep
                assert got.reshape(-1)[place] == pytest.approx((up - down) / 2e-6, abs=1e-6)


@settings(max_examples=25)
@given(
    st.integers(4, 60), st.integers(8, 80), st.integers(3, 12), st.integers(0, 10_000),
    st.booleans(),
)  # fmt: skip
def test_one_record_is_reconstructed_exactly(inputs, hidden, classes, seed, single_precision):
    model = Mlp.random([inputs, hidden, classes], seed)
    x, y = batch(1, inputs, classes, seed + 1)
    g = model.gradient(x, y)
    dtype = np.float32 if single_precision else np.float64
    weight, bias = g["fc1.weight"].astype(dtype), g["fc1.bias"].astype(dtype)
    result = invert(weight, bias)
    if result.active < 2:
        return  # no neuron fired: nothing to read
    assert result.rank == 1
    assert len(result.groups) == 1
    assert not result.single
    again = vectors(weight, bias, [result.groups[0][0]])[0]
    assert np.abs(again - x[0]).max() < (1e-5 if single_precision else 1e-6)
    told = labels(g["fc2.weight"], g["fc2.bias"], 1, 0.0)
    assert told is not None
    assert told.present == (int(y[0]),)
    assert told.complete
    # The sign rule reads the same label: the features behind it are not negative.
    assert told.idlg == int(y[0])


def test_single_record_artefact_is_exact(tmp_path):
    model = Mlp.random([40, 64, 5], 3)
    x, y = batch(1, 40, 5, 4)
    out = study(save(tmp_path / "a.npz", model.gradient(x, y), round=7, client="c-1", batch=1))
    assert out.outcome == EXACT
    assert nearest(x, found(out))[0] < 1e-6
    assert out.detail["batch_at_least"] == 1
    assert out.detail["labels"]["counts"] == {str(int(y[0])): 1}


def test_batch_of_eight_gives_the_records_that_a_neuron_sees_alone(tmp_path):
    model = Mlp.random([30, 400, 10], 5)
    model.biases[0] -= 2.6  # few neurons fire per record, as in a sparse layer
    x, y = batch(8, 30, 10, 6)
    active = (x @ model.weights[0].T + model.biases[0] > 0).astype(int)
    alone = [(active[i] * (active.sum(axis=0) == 1)).sum() for i in range(8)]
    out = study(save(tmp_path / "b.npz", model.gradient(x, y), batch=8))
    rows = found(out)
    # Exactly the records with two neurons of their own, and nothing else, are called agreed.
    assert len(rows) == sum(n >= 2 for n in alone) > 0
    errors = nearest(x, rows)
    assert all(error < 1e-6 for error, n in zip(errors, alone, strict=True) if n >= 2)
    assert nearest(rows, x).max() < 1e-6
    assert out.detail["batch_at_least"] == 8


def test_batch_without_lonely_neurons_is_partial_and_labels_are_read(tmp_path):
    model = Mlp.random([30, 12, 10], 7)
    x, y = batch(8, 30, 10, 8)
    active = x @ model.weights[0].T + model.biases[0] > 0
    assert (active.sum(axis=0) >= 2).all()
    out = study(save(tmp_path / "b.npz", model.gradient(x, y), batch=8))
    assert out.outcome == PARTIAL
    assert not len(found(out))
    assert set(out.detail["labels"]["classes_present"]) <= set(y.tolist())
    assert 1 <= out.detail["batch_at_least"] <= 8
    assert sum(out.detail["labels"]["counts"].values()) == 8


def test_two_class_head_does_not_pass_a_mean_off_as_a_record(tmp_path):
    """With two outputs every neuron weighs the records alike, so means agree as records do."""
    model = Mlp.random([20, 30, 2], 9)
    x, y = batch(2, 20, 2, 10)
    out = study(save(tmp_path / "b.npz", model.gradient(x, y)))
    rows = found(out)
    assert nearest(rows, x).max() > 0.1  # some agreed vector is no record
    assert out.outcome != EXACT
    assert any("mean of several" in words for words in out.sentences)
    one = study(save(tmp_path / "c.npz", model.gradient(x[:1], y[:1]), batch=1))
    assert one.outcome == EXACT


def test_delta_of_one_client_with_learning_rate(tmp_path):
    model = Mlp.random([25, 50, 6], 11)
    x, y = batch(1, 25, 6, 12)
    delta = model.train(x, y, lr=0.05, steps=1)
    out = study(save(tmp_path / "d.npz", delta, kind="delta", lr=0.05, steps=1, batch=1))
    assert out.outcome == EXACT
    assert nearest(x, found(out))[0] < 1e-6
    assert out.detail["labels"]["classes_present"] == [int(y[0])]
    # Read as a gradient, the sign is wrong and no single class would come out.
    wrong = study(save(tmp_path / "e.npz", delta, kind="grad", batch=1))
    assert wrong.detail.get("labels", {}).get("classes_present") != [int(y[0])]


def test_several_local_steps_on_one_record_still_give_it(tmp_path):
    model = Mlp.random([25, 50, 6], 13)
    x, y = batch(1, 25, 6, 14)
    delta = model.train(x, y, lr=0.05, steps=4)
    out = study(save(tmp_path / "d.npz", delta, kind="delta", lr=0.05, steps=4, batch=1))
    assert out.outcome == EXACT
    assert nearest(x, found(out))[0] < 1e-6
    assert any("4 local steps" in words for words in out.sentences)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.5])
def test_noise_protects(tmp_path, sigma):
    model = Mlp.random([40, 64, 5], 15)
    x, y = batch(16, 40, 5, 16)
    rng = np.random.default_rng(17)
    g = {n: a + rng.normal(0, sigma, a.shape) for n, a in model.gradient(x, y).items()}
    out = study(save(tmp_path / "n.npz", g, batch=16))
    assert out.outcome == PROTECTED
    assert not len(found(out))
    # Weak noise cannot be told from many records by itself, but 16 records have no rank of 40.
    measured = out.detail["protection"]["noise_sigma"]
    assert measured == (pytest.approx(sigma, rel=0.3) if sigma > 0.1 else None)
    assert (measured is None) == any("more than the 16 records" in w for w in out.sentences)


def test_several_layers_measure_the_noise(tmp_path):
    model = Mlp.random([40, 64, 32, 10], 28)
    x, y = batch(8, 40, 10, 29)
    rng = np.random.default_rng(30)
    g = {n: a + rng.normal(0, 0.4, a.shape) for n, a in model.gradient(x, y).items()}
    out = study(save(tmp_path / "n.npz", g))
    assert out.outcome == PROTECTED
    assert out.detail["protection"]["noise_sigma"] == pytest.approx(0.4, rel=0.15)


@pytest.mark.parametrize("seed", range(6))
def test_honest_gradients_are_not_called_noise(seed):
    model = Mlp.random([40, 64, 8], seed)
    rng = np.random.default_rng(seed)
    x = rng.gamma(1.0, rng.uniform(0.2, 3, 40), (64, 40))  # features of unlike sizes
    y = rng.integers(0, 8, 64)
    g = model.gradient(x, y)
    floors = [gradient_protect.floor(g[f"fc{i}.weight"]) for i in (1, 2)]
    assert gradient_protect.noise(floors, None) == 0.0


def test_imprint_is_recognised_and_its_records_recovered(tmp_path):
    model = imprint_model(30, 400, 10, 18)
    x, y = batch(8, 30, 10, 19)
    g = model.gradient(x, y)
    own = study(save(tmp_path / "i.npz", {**g, **model.params()}, batch=8))
    assert own.tampered
    report = own.detail["sent_model"][0]
    assert report["signature"]
    assert report["distribution"] == "normal"
    assert report["following_constant"]
    rows = found(own, "imprint")
    bins = np.searchsorted(np.sort(-model.biases[0]), x @ model.weights[0][0])
    alone = [int((bins == b).sum()) == 1 for b in bins]
    errors = nearest(x, rows)
    assert sum(alone) >= 6
    assert all(error < 1e-6 for error, lonely in zip(errors, alone, strict=True) if lonely)
    # The same from a model preserved apart, and from the gradient alone.
    save(tmp_path / "sent.npz", model.params(""), kind="model")
    save(tmp_path / "j.npz", g, batch=8)
    apart = study(tmp_path / "j.npz", tmp_path / "sent.npz")
    assert apart.tampered
    assert np.allclose(np.sort(found(apart, "imprint"), axis=0), np.sort(rows, axis=0))
    blind = study(tmp_path / "j.npz")
    assert blind.outcome == EXACT
    assert nearest(x, found(blind, "imprint"))[alone].max() < 1e-6


@pytest.mark.parametrize("law", ["laplace", "normal"])
def test_imprint_distribution_is_named(law):
    from scipy import stats

    place = (np.arange(64) + 0.5) / 64
    cuts = {"laplace": stats.laplace(scale=0.5**0.5), "normal": stats.norm}[law].ppf(place)
    row = np.random.default_rng(1).normal(0, 1, 20)
    made = gradient_model.imprint(np.tile(row, (64, 1)), -3 * cuts)
    assert made is not None
    assert made.signature
    assert made.shape == law


def test_ordinary_models_show_no_imprint(tmp_path):
    model = Mlp.random([30, 64, 10], 20)
    x, y = batch(8, 30, 10, 21)
    trained = model.train(x, y, 0.1, 30)
    for params in (model.params(""), {n: model.params("")[n] + d for n, d in trained.items()}):
        assert gradient_model.imprint(params["fc1.weight"], params["fc1.bias"]) is None
    out = study(save(tmp_path / "o.npz", {**model.gradient(x, y), **model.params()}))
    assert not out.tampered
    assert not gradient_model.nested(*list(model.gradient(x, y).values())[1::-1])


def test_expected_lonely_records_against_counting():
    rng = np.random.default_rng(22)
    bins = rng.integers(0, 50, (4000, 10))
    lonely = np.mean([(np.bincount(row, minlength=50) == 1).sum() for row in bins])
    assert gradient_model.expected_exact(50, 10) == pytest.approx(lonely, rel=0.02)


def test_embedding_rows_are_the_vocabulary(tmp_path):
    rng = np.random.default_rng(23)
    g = np.zeros((500, 16), np.float32)
    ids = sorted(rng.choice(500, 30, replace=False).tolist())
    g[ids] = rng.normal(0, 1, (30, 16))
    assert tokens(g)[0].tolist() == ids
    out = study(save(tmp_path / "t.npz", {"embed.weight": g}))
    assert out.outcome == PARTIAL
    assert out.detail["tokens"][0]["used"] == 30
    noisy = g + rng.normal(0, 0.01, g.shape).astype(np.float32)
    hidden = study(save(tmp_path / "u.npz", {"embed.weight": noisy}))
    assert hidden.outcome == PROTECTED
    assert hidden.detail["protection"]["noise_sigma"] == pytest.approx(0.01, rel=0.1)


def test_masked_integers_and_stated_shares_are_protected(tmp_path):
    rng = np.random.default_rng(24)
    masked = {"fc1.weight": rng.integers(-(2**31), 2**31 - 1, (20, 30)),
              "fc1.bias": rng.integers(-(2**31), 2**31 - 1, 20)}  # fmt: skip
    assert study(save(tmp_path / "s.npz", masked)).outcome == PROTECTED
    model = Mlp.random([10, 12, 3], 25)
    g = model.gradient(*batch(1, 10, 3, 26))
    assert study(save(tmp_path / "v.npz", g, secure_aggregation=True)).outcome == PROTECTED


def test_convolution_alone_needs_optimisation(tmp_path):
    rng = np.random.default_rng(27)
    out = study(save(tmp_path / "c.npz", {"conv.weight": rng.normal(0, 1, (8, 3, 3, 3))}))
    assert out.outcome == OPTIMISATION


def test_file_without_readable_arrays(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.array([{"a": 1}], object))
    out = study(path)
    assert out.outcome == UNREADABLE
