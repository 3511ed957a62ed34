"""Whose SiLU is whose."""

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"PyTorch": {}}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:silu": {},
}
