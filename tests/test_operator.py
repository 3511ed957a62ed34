"""The door that every operator has: binding, arrays, faces, and what is known without values."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg import faces
from numseg.operator import Cost, Spec
from numseg.plan import Plan, Plans

X = np.arange(16.0).reshape(1, 1, 4, 4)


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing a required argument: 'x'"),
        ((X,), {}, "missing a required argument: 'kernel_size'"),
        ((X, 2), {"x": X}, "multiple values for argument 'x'"),
        ((X, 2), {"kernel": 3}, "unexpected keyword argument 'kernel'"),
        ((X,), {"kernel": 3}, "missing a required argument: 'kernel_size'"),
        ((X, 2, 2, 0, 1, False, False, 7), {}, "too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit(args: Any, kwargs: Any, says: str) -> None:
    for call in (ns.max_pool2d, ns.max_pool2d.forward, ns.max_pool2d.output_shape):
        with pytest.raises(ns.ArgumentTypeError) as caught:
            call(*args, **kwargs)
        assert str(caught.value).startswith("max_pool2d: ")
        assert says in str(caught.value)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, ValueError)


def test_keyword_only_arguments_are_not_taken_by_place() -> None:
    with pytest.raises(ns.ArgumentTypeError, match="dropout: too many positional arguments"):
        ns.dropout(X, 0.5, 1)  # type: ignore[misc]


def test_arguments_by_place_and_by_name_are_the_same_call() -> None:
    expected = ns.max_pool2d(X, 2, 1)
    assert (ns.max_pool2d(stride=1, kernel_size=2, x=X) == expected).all()


def test_a_list_is_no_array_and_none_is_only_a_default() -> None:
    with pytest.raises(ns.ArgumentError, match="relu: x must be an array, got list"):
        ns.relu([1.0])  # type: ignore[arg-type]
    with pytest.raises(ns.ArgumentError, match="relu: x must be an array, got list"):
        ns.relu([X])  # type: ignore[arg-type]
    with pytest.raises(ns.ArgumentError, match="relu: x must be an array, got NoneType"):
        ns.relu(None)  # type: ignore[arg-type]
    with pytest.raises(ns.ArgumentError, match=r"concat: xs\[1\] must be an array, got NoneType"):
        ns.concat([X, None])  # type: ignore[list-item]


# -- arrays ---------------------------------------------------------------------------------------


def test_anything_numpy_can_view_is_an_array(tmp_path: Any) -> None:
    class Wrapped:
        shape, dtype = X.shape, X.dtype

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return X

    class Subclass(np.ndarray[Any, Any]):
        pass

    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=X.shape)
    mapped[...] = X
    for x in (Wrapped(), X.view(Subclass), mapped):
        y = ns.relu(x)
        assert type(y) is np.ndarray
        assert (y == X).all()


def test_a_masked_array_is_refused() -> None:
    with pytest.raises(ns.ArgumentError, match="relu: x is a masked array; fill it first"):
        ns.relu(np.ma.masked_less(X, 3))


def test_an_array_that_is_in_order_is_not_copied() -> None:
    _, saved = ns.relu.forward(X)
    assert np.shares_memory(saved.x, X)
    assert not saved.x.flags.writeable
    assert X.flags.writeable


# -- backward -------------------------------------------------------------------------------------


def test_backward_gives_one_gradient_for_each_array_of_a_sequence() -> None:
    y, saved = ns.concat.forward([X, X, X])
    assert [g.shape for g in ns.concat.backward(saved, y)] == [X.shape] * 3
    assert ns.concat.backward(saved, y, needs=[]) == (None, None, None)


def test_backward_gives_none_for_an_array_that_was_not_given() -> None:
    y, saved = ns.conv2d.forward(X, np.ones((1, 1, 2, 2)))
    assert [g is None for g in ns.conv2d.backward(saved, y)] == [False, False, True]


def test_what_was_saved_is_looked_at() -> None:
    y, saved = ns.max_pool2d.forward(X, 2)
    _, other = ns.relu.forward(X)
    for wrong, says in [
        (other, "saved is ReluSaved, expected MaxPool2dSaved from max_pool2d.forward"),
        (None, "saved is NoneType, expected MaxPool2dSaved"),
        (saved._replace(indices=saved.indices[..., :1]), "saved.indices is Spec"),
        (saved._replace(indices=saved.indices.astype(np.int32)), "saved.indices is Spec"),
        (saved._replace(indices=None), "saved.indices must be an array, got NoneType"),
    ]:
        with pytest.raises(ns.ArgumentError) as caught:
            ns.max_pool2d.backward(wrong, y)
        assert str(caught.value).startswith(f"max_pool2d.backward: {says}")


# -- without values -------------------------------------------------------------------------------


def test_a_call_is_known_from_shapes_specs_or_arrays() -> None:
    for x in ((1, 1, 4, 4), [1, 1, 4, 4], Spec((1, 1, 4, 4)), X.astype(np.float32)):
        assert ns.max_pool2d.output_shape(x, 2) == (1, 1, 2, 2)
        assert ns.max_pool2d.cost(x, 2) == Cost(16, 4 * (16 + 4))
    assert ns.max_pool2d.cost(X, 2) == Cost(16, 8 * (16 + 4))
    assert ns.max_pool2d.output_shape((1, 1, 4, 4), 2, return_indices=True) == ((1, 1, 2, 2),) * 2


@pytest.mark.parametrize("shape", [7, "4x4", (1, -1), (1.5, 2), None])
def test_a_shape_that_is_none(shape: Any) -> None:
    with pytest.raises(ns.ArgumentError, match=r"^relu: x"):
        ns.relu.output_shape(shape)


def test_a_result_that_no_memory_holds_is_an_error_of_the_argument() -> None:
    with pytest.raises(ns.ArgumentError, match=r"pad: y would have shape .* no memory holds it"):
        ns.pad.output_shape((1, 1, 4, 4), 2**31 - 1)


def test_an_operator_that_is_not_linear_has_no_matrix() -> None:
    with pytest.raises(ns.ArgumentError, match="relu: not a linear operator, it has no matrix"):
        ns.relu.matrix((3,))


# -- faces ----------------------------------------------------------------------------------------


def test_use_reference_holds_for_the_block_and_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = faces.module(ns.relu, "reference")
    ran: list[str] = []
    original = reference.forward
    monkeypatch.setattr(
        reference,
        "forward",
        lambda *args: (ran.append(threading.current_thread().name), original(*args))[1],
    )
    ns.relu(X)
    with ns.use("reference"):
        ns.relu(X)
        with ns.use("fast"):
            ns.relu(X)
        other = threading.Thread(target=ns.relu, args=(X,), name="other")
        other.start()
        other.join()
        ns.relu(X)
    ns.relu(X)
    assert ran == ["MainThread"] * 2
    ns.relu.reference(X)
    assert len(ran) == 3
    with (
        pytest.raises(ns.ArgumentError, match="face must be one of 'reference', 'fast'"),
        ns.use("cpu"),
    ):
        pass


def test_a_face_that_is_missing_is_named() -> None:
    with pytest.raises(ns.DeviceError, match="has no metal kernels"):
        faces.module(ns.relu, "metal")


def test_operators_stay_themselves_in_a_class() -> None:
    class Layer:
        pool = ns.max_pool2d

    assert Layer.pool is ns.max_pool2d
    assert Layer().pool is ns.max_pool2d


# -- the package ----------------------------------------------------------------------------------

HEAVY = ("numba", "llvmlite", "scipy", "hypothesis", "tqdm", "PIL", "matplotlib", "skimage")


def test_dir_of_numseg_is_its_front_door() -> None:
    assert dir(ns) == sorted(ns.__all__)
    assert "conv2d" in dir(ns)


def test_dir_of_an_operator_is_what_a_user_may_use() -> None:
    page = (Path(__file__).parents[1] / "docs" / "operator.md").read_text()
    assert set(re.findall(r"^\| `op\.(\w+)", page, re.M)) <= set(dir(ns.conv2d))
    for op in (ns.max_pool2d, ns.max_pool2d.reference):
        assert all(hasattr(op, name) and not name.startswith("_") for name in dir(op))


def test_importing_numseg_imports_nothing_heavy(run_script: Any) -> None:
    code = f"import sys, numseg; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run_script(code).stdout.strip() == "[]"


def test_a_plan_is_remembered_by_exact_arguments() -> None:
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    for stride in (1, (1, 1)):
        assert ns.conv2d.plan(x, w, stride=stride) == ns.conv2d.plan(x, w, stride=stride)
    wrong: list[Any] = [True, 1.0, (True, 1), (1.0, 1)]  # equal to 1, and yet no strides
    for alike in wrong:
        with pytest.raises(ns.ArgumentError, match="stride"):
            ns.conv2d(x, w, stride=alike)
    assert ns.conv2d.plan(x.shape, w.shape, stride=np.int64(1)).outputs[0].shape == (1, 1, 2, 2)


def test_nobody_changes_a_plan_that_others_see() -> None:
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    ns.conv2d.plan(x, w, padding=1).parameters["padding"] = 7
    assert ns.conv2d.plan(x, w, padding=1).parameters["padding"] == 1


def test_no_more_plans_are_remembered_than_a_few_hundred() -> None:
    plans = Plans(1, arrays=[0])
    for n in range(3 * Plans.MOST):
        plans.add(plans.key([Spec((n,))]), Plan((), None))
        assert plans.get(plans.key([Spec((n,))])) is not None
        assert len(plans._known) <= Plans.MOST
