import numpy as np
import pytest

import rankfall as rf

# Soudry et al. (2018): two points on either side; the l2 max-margin direction of these is (1, 1) / sqrt 2.
INPUTS, LABELS = np.array([[1.0, 2.0], [-2.0, -1.0], [3.0, 3.0]]), np.array([1.0, -1.0, 1.0])


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_normalised_descent_turns_to_the_largest_margin(loss):
    """The two support vectors are mirror images: the direction is the diagonal, from any start."""
    problem = rf.LinearClassification(INPUTS, LABELS, loss=loss)
    start = rf.MatrixFactorization([np.array([[1.0], [-0.5]])])
    run = rf.train(problem, start, rf.NormalizedDescent(0.5, by="loss"), stop=rf.Stop(steps=4000), progress=False)
    w = run.final.full().ravel()
    assert abs(w[0] / w[1] - 1) < 1e-3  # 1 / |w| of the start's difference is left
    margin = (LABELS * (INPUTS @ w)).min()
    assert abs(margin / np.linalg.norm(w) / (3 / np.sqrt(2)) - 1) < 1e-6
    # By its logarithm the loss is that of two points at the margin, far below the least floating-point number.
    np.testing.assert_allclose(run.trajectory["log_loss"].values[0, -1], np.log(2) - margin, rtol=1e-3)
    # Control: plain descent, as many steps, has not turned.
    plain = rf.train(problem, start, rf.GradientDescent(0.1), stop=rf.Stop(steps=4000), progress=False)
    v = plain.final.full().ravel()
    assert abs(v[0] / v[1] - 1) > 0.1


def test_arithmetic():
    problem = rf.LinearClassification(INPUTS, LABELS)
    w = np.array([[0.5], [-1.0]])
    margins = LABELS * (INPUTS @ w)[:, 0]
    np.testing.assert_allclose(problem.loss(w), np.log1p(np.exp(-margins)).sum(), rtol=1e-14)
    np.testing.assert_array_equal(problem.predict(np.stack([w, 2 * w])), np.stack([INPUTS @ w, 2 * INPUTS @ w])[..., 0])
    v = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose((problem.predict(w) * v).sum(), (w * problem.adjoint(v)).sum())
    assert problem.part(np.array([2])).labels.tolist() == [1.0] and problem.observed == 3


@pytest.mark.parametrize(
    ("inputs", "labels", "words"),
    [
        (INPUTS, [0, 1, 1], "labels holds 0, but must hold -1 and \\+1 alone; of 0 and 1 take"),
        (INPUTS, [1, -1], "labels has shape \\(2,\\)"),
        ([1.0, 2.0], [1, -1], "inputs has shape \\(2,\\)"),
        ([[np.nan, 1.0]], [1], "inputs holds nan"),
        (INPUTS, ["a", "b", "c"], "labels is"),
    ],
)
def test_refuses(inputs, labels, words):
    with pytest.raises(ValueError, match=words):
        rf.LinearClassification(inputs, labels)
