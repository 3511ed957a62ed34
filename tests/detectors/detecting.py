"""What is asked of a detector, whichever it is."""

from __future__ import annotations

import numpy as np

import numseg as ns
from numseg.data import Instances


def parameters(detector, seed=0, dtype=np.float64):
    """Start values of He's size, biases and norms that are not those of the start: so that each
    parameter matters to the loss."""
    rng, params = np.random.default_rng(seed), detector.init(seed, dtype)
    for name, array in params.items():
        if name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
            params[name] = rng.uniform(0.5, 1.5, array.shape).astype(dtype)
        elif array.ndim == 1:
            params[name] = rng.normal(scale=0.1, size=array.shape).astype(dtype)
        else:
            size = np.sqrt(2 / array[0].size)
            params[name] = rng.normal(scale=size, size=array.shape).astype(dtype)
    return params


def picture(size=(48, 56), channels=3, seed=0, dtype=np.float64):
    """Numbers between 0 and 1."""
    return np.random.default_rng(seed).uniform(size=(channels, *size)).astype(dtype)


def objects(masks=False, size=(48, 56)):
    """Two objects and a crowd."""
    boxes = [[4, 6, 22, 26], [25, 10, 50, 41], [0, 30, 12, 46]]
    shown = np.zeros((3, *size), bool)
    for mask, (x0, y0, x1, y1) in zip(shown, boxes, strict=True):
        mask[y0:y1, x0 : x1 - 3] = True
    return Instances(boxes, [1, 2, 1], shown if masks else None, crowd=[False, False, True])


def regions(seed=0, count=12, size=(48, 56)):
    """Boxes, some near the objects."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([first, first + rng.uniform(5, 25, (count, 2))], 1)
    near = np.array([[5.0, 5, 24, 25], [24, 12, 48, 40], [28, 10, 52, 40]])
    return np.concatenate([near, boxes]).clip(0, [size[1], size[0], size[1], size[0]])


def check_gradients(detector, *given, tolerance=1e-5, step=1e-7, seed=1, **others):
    """Backward agrees with central differences along a random direction of every parameter that
    learns; what does not learn has no gradient there."""
    params = parameters(detector)

    def loss(given_params):
        return detector.forward(given_params, *given, seed=seed, step=3, **others)

    losses = loss(params)
    assert all(np.isfinite(value) and value > 0 for value in losses.terms.values()), losses.terms
    grads = detector.backward(losses, share=0.5)
    assert set(grads) == set(detector.trainable)
    rng = np.random.default_rng(5)
    for name, grad in grads.items():
        direction = rng.normal(size=grad.shape)
        direction += grad / max(np.abs(grad).max(), 1e-30)
        ends = [
            sum(loss(params | {name: params[name] + h * direction}).terms.values())
            for h in (step, -step)
        ]
        expected, found = (ends[0] - ends[1]) / (2 * step), 2 * np.vdot(grad, direction)
        scale = np.linalg.norm(2 * grad) * np.linalg.norm(direction)
        assert abs(expected - found) <= tolerance * scale + 1e-7, (name, expected, found)


def check_same_bits(detector, images, instances, **others):
    """One thread and two give the same losses, gradients and detections."""
    params = parameters(detector, dtype=np.float32)
    images = [image.astype(np.float32) for image in images]
    runs = []
    for threads in (1, 2):
        with ns.num_threads(threads):
            losses = detector.forward(params, images, instances, seed=1, **others)
            grads = detector.backward(losses)
            found = detector.detect(params, images)
        runs.append((losses.terms, grads, found))
    (terms, grads, found), again = runs[0], runs[1]
    assert terms == again[0]
    for name, grad in grads.items():
        np.testing.assert_array_equal(grad, again[1][name])
    for one, other in zip(found, again[2], strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
        if one.masks is not None:
            np.testing.assert_array_equal(one.masks, other.masks)


def check_odd_input(detector, masks=False, **others):
    """Images of one pixel, images without objects: losses and answers."""
    params = parameters(detector, dtype=np.float32)
    small = np.ones((3, 1, 1), np.float32)
    image = picture(dtype=np.float32)
    (found,) = detector.detect(params, [small])
    assert (found.boxes[:, 2:] <= 1).all()

    def shown(boxes, size):
        return Instances(
            boxes, np.ones(len(boxes), int), np.zeros((len(boxes), *size), bool) if masks else None
        )

    none = shown(np.zeros((0, 4)), (48, 56))
    losses = detector.forward(params, [image], [none], **others)
    assert all(np.isfinite(value) for value in losses.terms.values())
    assert losses.terms["boxes"] == 0
    grads = detector.backward(losses)
    assert all(np.isfinite(grad).all() for grad in grads.values())
    losses = detector.forward(params, [small], [shown(np.zeros((0, 4)), (1, 1))])
    assert all(np.isfinite(value) for value in losses.terms.values())
