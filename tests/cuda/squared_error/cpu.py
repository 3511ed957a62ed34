from __future__ import annotations


def forward(x, target, y, g):
    y[...] = ((x - target) ** 2).sum() / 2


def backward(x, target, grad_y, grad_x, g):
    grad_x[...] = grad_y * (x - target)
