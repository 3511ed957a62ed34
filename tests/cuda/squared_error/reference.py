from __future__ import annotations


def forward(x, target, g):
    return ((x - target) ** 2).sum() / 2


def backward(x, target, grad_y, g):
    return grad_y * (x - target)
