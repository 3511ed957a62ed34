"""Files of weights between PyTorch and numseg: what either writes, the other reads, to the bit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numseg as ns
from numseg import nets
from numseg.interop import pth, torchvision, weights

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

DTYPES = [
    "float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "complex64", "complex128", "uint16", "uint32", "uint64",
]  # fmt: skip
both_formats = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def written(path, value, zipped=True, **options):
    torch.save(value, path, _use_new_zipfile_serialization=zipped, **options)
    return path


@both_formats
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, zipped, tmp_path):
    tensor = torch.tensor([[0, 1, 2], [3, 100, 5]]).to(getattr(torch, dtype))
    found = pth.load(written(tmp_path / "w.pth", {"w": tensor, "n": tensor[0, 1]}, zipped))
    np.testing.assert_array_equal(found["w"], tensor.numpy(), strict=True)
    np.testing.assert_array_equal(found["n"], tensor[0, 1].numpy(), strict=True)


@both_formats
def test_every_bfloat16(zipped, tmp_path):
    """All 65,536 of them, NaN's bits included."""
    bits = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    tensor = bits.view(torch.bfloat16)
    found = pth.load(written(tmp_path / "w.pth", {"w": tensor}, zipped))["w"]
    np.testing.assert_array_equal(found.view(np.uint32) >> 16, np.arange(65536))
    np.testing.assert_array_equal(found, tensor.float().numpy())


@st.composite
def views(draw):
    """A view of a row of numbers, with any order of axes, steps and an offset."""
    shape = draw(st.lists(st.integers(0, 4), min_size=0, max_size=4))
    tensor = torch.arange(3 + 2 * int(np.prod([size + 1 for size in shape])), dtype=torch.float32)
    tensor = tensor[draw(st.integers(0, 3)) :][: int(np.prod([size + 1 for size in shape]))]
    tensor = tensor.reshape([size + 1 for size in shape])
    for axis in range(len(shape)):
        start, step = draw(st.integers(0, 1)), draw(st.integers(1, 2))
        tensor = tensor[(slice(None),) * axis + (slice(start, None, step),)]
    return tensor.permute(draw(st.permutations(range(len(shape)))))


@both_formats
@given(tensors=st.lists(views(), min_size=1, max_size=3))
def test_every_view(tensors, zipped, tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "w.pth"
    named = {f"w{i}": tensor for i, tensor in enumerate(tensors)}
    found = pth.load(written(path, named, zipped))
    for name, tensor in named.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@both_formats
def test_a_module_s_state_dict(protocol, zipped, tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    optimiser = torch.optim.Adam(module.parameters())
    module(torch.randn(2, 2, 5, 5)).sum().backward()
    optimiser.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 5])
    value = {
        "state_dict": module.state_dict(), "epoch": 3, "lr": 0.1, "name": "é", "best": None,
        "optimizer": optimiser.state_dict(), "schedule": schedule.state_dict(),
    }  # fmt: skip
    path = written(tmp_path / "w.pth", value, zipped, pickle_protocol=protocol)
    found = pth.load(path)
    assert list(found) == list(module.state_dict())
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: torch.nn.Linear(2, 2), "wants 'torch.nn.modules.linear.Linear'"),
        (lambda: {"w": torch.ones(1).expand(3)}, "its elements overlap"),
        (lambda: {"w": torch.eye(3).to_sparse()}, "wants 'torch._utils._rebuild_sparse_tensor'"),
        (lambda: {"w": torch.ones(2).to(torch.float8_e5m2)}, "wants 'torch.float8_e5m2'"),
        (lambda: {"w": torch.tensor([1j]).conj()}, "to be conjugated"),
        (lambda: {"w": np.float64(1)}, "multiarray.scalar'"),
        (lambda: torch.ones(2), "holds one tensor"),
        (lambda: {"lr": 0.1}, "holds no tensors"),
    ],
)  # fmt: skip
def test_what_is_no_state_dict(value, message, tmp_path):
    with pytest.raises(ns.FileError, match=message):
        pth.load(written(tmp_path / "w.pth", value()))


@pytest.mark.filterwarnings("ignore:.*jit:DeprecationWarning")
def test_torchscript(tmp_path):
    torch.jit.trace(torch.nn.ReLU(), torch.ones(1)).save(tmp_path / "w.pt")
    with pytest.raises(ns.FileError, match="is a TorchScript program"):
        weights.load(tmp_path / "w.pt")


@pytest.mark.parametrize("mmap", [False, True])
def test_pytorch_reads_what_is_written(mmap, tmp_path):
    arrays = {name: np.arange(6).astype(name).reshape(2, 3) for name in DTYPES[:11]}
    arrays |= {"ä": np.arange(6.0).T, "n": np.array(5), "e": np.zeros((0, 3), np.float32)}
    pth.save(tmp_path / "w.pth", arrays)
    found = torch.load(tmp_path / "w.pth", weights_only=True, mmap=mmap)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].numpy(), array, strict=True)


# -- torchvision ----------------------------------------------------------------------------------


def model_of(name):
    """torchvision's, with norms that are not those of the start."""
    models = pytest.importorskip("torchvision").models
    segmenter = hasattr(models.segmentation, name)
    make = getattr(models.segmentation if segmenter else models, name)
    others = {"weights_backbone": None} if segmenter else {}
    if name == "googlenet":
        others = {"init_weights": True}
    torch.manual_seed(0)
    model = make(weights=None, **others)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, array in model.state_dict().items():
            if key.endswith("running_var"):
                array.uniform_(0.5, 1.5, generator=generator)
            elif key.endswith("num_batches_tracked"):
                array.fill_(7)
            elif array.ndim == 1:
                array.normal_(1, 0.1, generator=generator)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "zipped"),
    [
        (name, zipped)
        for name in torchvision.NETWORKS
        for zipped in (True, False)
        if name in nets.__all__ and (zipped or "vgg" not in name)  # half a gigabyte each time
    ],
)
def test_torchvision_s_files(name, zipped, tmp_path):
    """All parameters, to the bit, and back into a model that takes no other names."""
    model = model_of(name)
    path = written(tmp_path / "w.pth", model.state_dict(), zipped)
    graph, params = torchvision.load(name, path)
    theirs = model.state_dict()
    for key, array in params.items():
        np.testing.assert_array_equal(array, theirs[key].numpy(), strict=True)
    weights.save(tmp_path / "back.pth", torchvision.state_dict(graph, params))
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    with torch.no_grad():
        for array in model.parameters():
            array.zero_()
    if name == "googlenet":  # the graph has no auxiliary heads
        model.aux1 = model.aux2 = None
    model.load_state_dict(back, strict=True)
    for key, array in model.state_dict().items():
        assert torch.equal(array, back[key]), key


@both_formats
@pytest.mark.parametrize("name", ["resnet18", "deeplabv3_mobilenet_v3_large"])
def test_logits_of_loaded_files(name, zipped, tmp_path):
    model = model_of(name)
    path = written(tmp_path / "w.pth", {"model": model.state_dict(), "epoch": 3}, zipped)
    graph, params = torchvision.load(name, path)
    x = np.random.default_rng(0).normal(size=(1, 3, 49, 64)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x))
    expected = (expected["out"] if isinstance(expected, dict) else expected).numpy()
    found = graph.run(params, x)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


# -- P-Net ----------------------------------------------------------------------------------------


@pytest.fixture
def trained() -> Path:
    path = Path(os.environ.get("NUMSEG_MODELS", "")) / "pnet.pt"
    if not path.is_file():
        pytest.skip("needs $NUMSEG_MODELS/pnet.pt")
    return path


def peer(path):
    """P-Net as one writes it in PyTorch, with the weights as PyTorch reads them."""
    nn = torch.nn
    body = nn.Sequential()
    for name, module in {
        "conv1": nn.Conv2d(3, 10, 3), "prelu1": nn.PReLU(10),
        "pool1": nn.MaxPool2d(2, ceil_mode=True), "conv2": nn.Conv2d(10, 16, 3),
        "prelu2": nn.PReLU(16), "conv3": nn.Conv2d(16, 32, 3), "prelu3": nn.PReLU(32),
    }.items():  # fmt: skip
        body.add_module(name, module)
    heads = {"conv4_1": nn.Conv2d(32, 2, 1), "conv4_2": nn.Conv2d(32, 4, 1)}
    saved = torch.load(path, weights_only=True)
    body.load_state_dict({n: a for n, a in saved.items() if not n.startswith("conv4")})
    for name, head in heads.items():
        head.load_state_dict({w: saved[f"{name}.{w}"] for w in ("weight", "bias")})

    def run(x):
        with torch.no_grad():
            h = body(torch.from_numpy(x))
            return heads["conv4_1"](h).softmax(1).numpy(), heads["conv4_2"](h).numpy()

    return run


def astronaut(size):
    """Averaged to size x size pixels, as the network wants its colours."""
    picture = pytest.importorskip("skimage.data").astronaut()
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
    return (ns.adaptive_avg_pool2d(x, size) - np.float32(127.5)) / np.float32(128)


@pytest.mark.parametrize("size", [76, 77, 51, 12])
def test_pnet_is_pytorch_s(size, trained):
    net = nets.pnet()
    params = weights.match(net, weights.load(trained))
    x = astronaut(size)
    for found, expected in zip(net.run(params, x), peer(trained)(x), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [76, 51])
def test_pnet_finds_the_face(size, trained):
    """Eyes, nose and mouth of the astronaut lie in rows 80 to 150, columns 190 to 250."""
    net = nets.pnet()
    params = weights.match(net, weights.load(trained))
    probability, _ = net.run(params, astronaut(size))
    row, column = np.unravel_index(probability[0, 1].argmax(), probability.shape[2:])
    assert probability[0, 1, row, column] > 0.999
    centre = [(2 * place + 6) * 512 / size for place in (int(row), int(column))]
    assert 80 < centre[0] < 150
    assert 190 < centre[1] < 250


def test_pnet_is_its_classifier_slid_over_the_picture(trained):
    net = nets.pnet()
    params = weights.match(net, weights.load(trained))
    x = astronaut(36)
    maps = net.run(params, x)
    assert maps[0].shape == (1, 2, 13, 13)
    for r, c in np.ndindex(13, 13):
        window = x[:, :, 2 * r : 2 * r + 12, 2 * c : 2 * c + 12]
        for heat, alone in zip(maps, net.run(params, window), strict=True):
            np.testing.assert_allclose(heat[:, :, r, c], alone[:, :, 0, 0], rtol=0, atol=1e-5)
