"""Transforms: torchvision's values where nothing is left to chance, statistics where it is, and refusals."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail.data import transforms as T

GOLDEN = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("transforms_cases", GOLDEN / "transforms_cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
NAMES = {**vars(T), **cases.NAMES}
RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 3, 12, 10), dtype=np.float32)


def seeded(seed=0):
    return st.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "transforms.npz") as file:
        return dict(file)


@pytest.mark.parametrize("expression", cases.EXPRESSIONS)
def test_torchvisions_values(golden, expression):
    images = golden["images"]
    found, expected = eval(expression, NAMES)(images), golden[expression]
    assert found.shape == expected.shape and found.dtype == np.float32 and not np.shares_memory(found, images)
    close = np.abs(found - expected) < 2e-6
    if "BILINEAR" in expression and "Resize" not in expression:
        # At the rim torchvision weighs what it fills with twice; where all neighbours are in the image there is no rim.
        plain = expression.replace("fill=0.5", "fill=0")
        close |= eval(plain, NAMES)(np.ones_like(images)) < 1 - 1e-5
        assert close.mean() > 0.5
    assert close.all(), np.abs(found - expected).max()


EVERY = [
    T.CenterCrop(5),
    T.RandomCrop(8, padding=2),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(),
    T.Pad(2),
    T.Normalize([0.5], [0.25]),
    T.ToDtype(st.float64),
    T.Resize(6),
    T.RandomResizedCrop(7),
    T.RandomAffine(30, (0.1, 0.1), (0.8, 1.2), 10),
    T.RandomRotation(20),
    T.ColorJitter(0.3, 0.3, 0.3, 0.1),
    T.RandomErasing(0.9),
    T.Cutout(4),
    T.Compose([T.RandomHorizontalFlip(), T.Normalize(0.5, 0.5), T.Cutout(3), T.Pad(1)]),
]
RANDOM = [t for t in EVERY if hasattr(t, "generator")]


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: type(t).__name__)
def test_tensors_arrays_single_images_and_seeds(transform):
    for x in (IMAGES, IMAGES.astype(np.float64)):
        st.manual_seed(3)
        found = transform(x)
        assert isinstance(found, np.ndarray) and len(found) == len(x) and np.isfinite(found).all()
        st.manual_seed(3)
        tensor = transform(st.from_numpy(x))
        assert isinstance(tensor, st.Tensor) and np.array_equal(tensor.numpy(), found)
        st.manual_seed(3)
        turned = transform(np.asfortranarray(x))
        assert np.array_equal(turned, found)
        st.manual_seed(3)
        one = transform(x[0])
        st.manual_seed(3)
        assert np.array_equal(one, transform(x[:1])[0])
    assert len(transform(IMAGES[:0])) == 0
    assert repr(transform).startswith(type(transform).__name__)


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: type(t).__name__)
def test_the_given_batch_stays_and_bytes_stay_bytes(transform):
    x = IMAGES.copy()
    transform(x)
    assert np.array_equal(x, IMAGES)
    if "Normalize" in repr(transform):
        return
    x = (IMAGES * 255).astype(np.uint8)
    st.manual_seed(1)
    found = transform(x)
    st.manual_seed(1)
    wide = transform(x.astype(np.float32) / 255 if isinstance(transform, T.ColorJitter) else x.astype(np.float32))
    if not isinstance(transform, T.ToDtype):
        assert found.dtype == np.uint8
    scale = 255 if isinstance(transform, T.ColorJitter) else 1
    assert np.abs(found.astype(np.float64) - np.clip(wide * scale, 0, 255)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_images_differ_from_each_other(transform):
    x = np.repeat(RNG.random((1, 3, 16, 16)), 40, 0)
    st.manual_seed(0)
    found = transform(x)
    assert len({image.tobytes() for image in found}) >= (2 if "Flip" in repr(transform) else 10)
    own = type(transform).__call__
    before, transform.generator = transform.generator, seeded(5)
    first = own(transform, x)
    transform.generator = seeded(5)
    assert np.array_equal(own(transform, x), first) and not np.array_equal(own(transform, x), first)
    transform.generator = before


def test_crops_are_even_over_all_places():
    x = np.arange(64.0).reshape(1, 1, 8, 8).repeat(20000, 0)
    corner = T.RandomCrop((5, 7), generator=seeded())(x)[:, 0, 0, 0]
    counts = np.unique(corner, return_counts=True)
    assert counts[0].tolist() == [i * 8 + j for i in range(4) for j in range(2)]
    assert (((counts[1] - 2500) ** 2) / 2500).sum() < 24  # chi-squared with 7 degrees of freedom, 0.1 %
    padded = T.RandomCrop(8, padding=(1, 2), fill=-1, generator=seeded())(x)
    assert set(np.unique((padded == -1).any((1, 3)).sum(1))) == {0, 1, 2} or (padded == -1).any()
    wide = np.arange(1200.0).reshape(1, 1, 2, 600).repeat(500, 0)  # too many windows for a table of them
    found = T.RandomCrop((2, 290), generator=seeded())(wide)[:, 0]
    assert (np.diff(found, axis=2) == 1).all() and 270 < found[:, 0, 0].max() <= 310 and found[:, 0, 0].min() < 40
    needed = T.RandomCrop((10, 8), pad_if_needed=True, fill=-1)(x[:9])
    assert needed.shape == (9, 1, 10, 8) and (needed[:, 0, :, 0] == -1).sum(1).tolist() == [2] * 9


def test_flips_turn_the_share_p():
    x = np.arange(6.0).reshape(1, 1, 2, 3).repeat(4000, 0)
    for kind, axis in ((T.RandomHorizontalFlip, 3), (T.RandomVerticalFlip, 2)):
        found = kind(0.3, generator=seeded())(x)
        turned = np.array([np.array_equal(image, np.flip(x[0], axis - 1)) for image in found])
        assert abs(turned.mean() - 0.3) < 0.03 and np.array_equal(found[~turned], x[~turned])
        assert np.array_equal(kind(1.0)(x), np.flip(x, axis)) and np.array_equal(kind(0.0)(x), x)


def test_circular_padding():
    found = T.Pad(2, padding_mode="circular")(IMAGES)
    assert np.array_equal(found, np.pad(IMAGES, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="wrap"))


def test_a_composition_is_its_parts_one_after_another():
    steps = [
        T.RandomCrop(10, padding=3, fill=0.5, generator=seeded(1)),
        T.RandomHorizontalFlip(generator=seeded(2)),
        T.Pad((1, 2), fill=0.5),
        T.Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]),
        T.Pad(1, fill=[1, 2, 3]),
        T.RandomVerticalFlip(generator=seeded(3)),
        T.CenterCrop(9),
        T.RandomCrop(8, generator=seeded(4)),
        T.ToDtype(st.float64),
        T.Normalize(0.5, 2.0),
    ]
    whole = T.Compose(steps)(IMAGES)
    for i, seed in ((0, 1), (1, 2), (5, 3), (7, 4)):
        steps[i].generator = seeded(seed)
    x = IMAGES
    for step in steps:
        x = step(x)
    assert x.dtype == whole.dtype == np.float64
    np.testing.assert_allclose(whole, x, atol=1e-6)


def test_dtypes():
    x = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(T.ToDtype(st.float32, scale=True)(x).ravel(), [0, 0.2, 1], rtol=1e-7)
    assert T.ToDtype(st.float64)(x).ravel().tolist() == [0, 51, 255]
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    back = T.Compose([T.ToDtype(st.float32, scale=True), T.ToDtype(st.uint8, scale=True)])(every)
    assert np.array_equal(back, every)
    assert T.ToDtype(st.uint8)(np.full((1, 1, 1, 1), 7.9)).item() == 7


def test_normalize_in_place():
    x = st.from_numpy(IMAGES.copy())
    assert T.Compose([T.Normalize(0.5, 0.25, inplace=True)])(x) is x
    np.testing.assert_allclose(x.numpy(), (IMAGES - 0.5) / 0.25, rtol=1e-5, atol=1e-6)


def test_erasing_and_cutout():
    x = np.ones((3000, 2, 20, 30))
    found = T.RandomErasing(0.7, scale=(0.1, 0.1), ratio=(1, 1), value=[3, 4], generator=seeded())(x)
    touched = (found != 1).any((1, 2, 3))
    assert abs(touched.mean() - 0.7) < 0.03
    for image in found[touched][:50]:
        assert (image[0] == 3).sum() == 64 and np.array_equal(image[0] == 3, image[1] == 4)
    noise = T.RandomErasing(1.0, value="random", generator=seeded())(x[:50])
    values = noise[noise != 1]
    assert abs(values.mean()) < 0.1 and abs(values.std() - 1) < 0.1
    mine = x[:4].copy()
    assert T.RandomErasing(1.0, inplace=True)(mine) is not None and (mine == 0).any()
    cut = T.Cutout(6, holes=2, fill=9, generator=seeded())(x[:200])
    counts = (cut[:, 0] == 9).sum((1, 2))
    assert counts.max() <= 72 and counts.min() >= 9 and np.array_equal(cut[:, 0], cut[:, 1])
    assert (T.Cutout(4, p=0.0)(x[:5]) == 1).all()


def test_affine_moves_and_scales():
    x = np.zeros((1, 1, 9, 9))
    x[0, 0, 4, 6] = 1
    turned = T.RandomRotation((90, 90))(x)
    assert turned[0, 0, 2, 4] == 1 and turned.sum() == 1, "counter-clockwise"
    assert T.RandomAffine((90, 90))(x)[0, 0, 6, 4] == 1, "clockwise"
    moved = T.RandomAffine(0, translate=(0.3, 0), generator=seeded())(np.repeat(x, 500, 0))
    places = np.argwhere(moved)[:, 2:]
    assert (places[:, 0] == 4).all() and set(places[:, 1] - 6) == {-3, -2, -1, 0, 1, 2} and len(places) < 500
    large = T.RandomAffine(0, scale=(2, 2), interpolation="bilinear")(np.ones((1, 1, 9, 9)))
    assert (large == 1).all()
    filled = T.RandomAffine(0, scale=(0.5, 0.5), fill=[7])(np.ones((1, 1, 9, 9)))
    assert filled[0, 0, 0, 0] == 7 and filled[0, 0, 4, 4] == 1


def test_resized_crops():
    x = np.arange(400.0).reshape(1, 1, 20, 20).repeat(300, 0)
    found = T.RandomResizedCrop(5, scale=(0.25, 0.25), ratio=(1, 1), interpolation="nearest", generator=seeded())(x)
    assert (np.diff(found[:, 0], axis=2) == 2).all() and len(set(found[:, 0, 0, 0])) > 100
    tall = T.RandomResizedCrop((4, 4), ratio=(50, 60))(x[:1])  # nothing fits: the middle, as wide as it goes
    assert tall.shape == (1, 1, 4, 4)
    bytes_ = T.RandomResizedCrop(6)((x[:2] / 2).astype(np.uint8))
    assert bytes_.dtype == np.uint8


def test_jitter_of_grey_images_and_its_ranges():
    grey = RNG.random((5, 1, 4, 4))
    assert np.array_equal(T.ColorJitter(saturation=0.5, hue=0.2)(grey), grey)
    found = T.ColorJitter(brightness=0.5, generator=seeded())(np.full((2000, 1, 1, 1), 0.5)).ravel()
    assert 0.25 <= found.min() < 0.26 and 0.74 < found.max() <= 0.75
    assert T.ColorJitter(brightness=3).brightness == (0.0, 4.0)


@pytest.mark.parametrize("kind", [T.MixUp, T.CutMix])
def test_mixing(kind):
    x = np.arange(8.0).reshape(8, 1, 1, 1) + np.zeros((8, 2, 20, 20))
    y = np.arange(8) % 4
    mixed, labels = kind(alpha=1.0, num_classes=4, generator=seeded())(x, y)
    assert mixed.shape == x.shape and labels.shape == (8, 4) and labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    share = labels[np.arange(8), y]
    expected = share * np.arange(8) + (1 - share) * np.roll(np.arange(8), 1)
    np.testing.assert_allclose(mixed.mean((1, 2, 3)), expected, rtol=1e-5, atol=1e-5)
    assert len(set(share.tolist())) > 4, "each image has a share of its own"
    soft = np.eye(4)[y]
    again, kept = kind(num_classes=None, generator=seeded())(st.from_numpy(x), st.from_numpy(soft))
    assert isinstance(again, st.Tensor) and kept.dtype == st.float64 and np.allclose(kept.numpy(), labels, atol=1e-7)
    both = T.Compose([T.RandomHorizontalFlip(), kind(num_classes=4), T.Normalize(0.5, 0.5)])(x, y)
    assert both[0].shape == x.shape and both[1].shape == (8, 4)
    if kind is T.CutMix:
        assert set(np.unique(mixed[3])) <= {2, 3}
        assert kind(num_classes=4)(x.astype(np.uint8), y)[0].dtype == np.uint8


def test_shares_are_beta():
    for alpha in (0.3, 2.0):
        x = np.zeros((20000, 1, 1, 1))
        x[::2] = 1
        mixed, _ = T.MixUp(alpha, num_classes=2, generator=seeded())(x, np.zeros(20000, int))
        share = np.where(x.ravel() == 1, mixed.ravel(), 1 - mixed.ravel())
        assert abs(share.mean() - 0.5) < 0.01 and abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.005


def test_in_a_loader_with_threads():
    data = st.data.TensorDataset(st.from_numpy(IMAGES), st.arange(6))
    crop = T.Compose([T.RandomCrop(8, padding=2), T.Normalize(0.5, 0.5)])

    def batches(workers):
        st.manual_seed(2)
        loader = st.data.DataLoader(
            data, 2, num_workers=workers, collate_fn=lambda b: (crop(st.stack([x for x, _ in b])), [y for _, y in b])
        )
        return [x.tolist() for x, _ in loader]

    assert batches(1) == batches(3)


REFUSED = [
    (lambda: T.RandomCrop(20)(IMAGES), ValueError, r"\(20, 20\) is larger than \(padded\) input image size \(12, 10\)"),
    (lambda: T.RandomCrop(0), ValueError, "positive"),
    (lambda: T.RandomCrop((1, 2, 3)), ValueError, "size"),
    (lambda: T.RandomCrop(3.5), ValueError, "size"),
    (lambda: T.RandomCrop(3, padding=-1), ValueError, "negative"),
    (lambda: T.RandomCrop(3, padding="a"), TypeError, "padding"),
    (lambda: T.Pad((1, 2, 3)), ValueError, "1, 2 or 4"),
    (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "constant, edge, reflect"),
    (lambda: T.Pad(10, padding_mode="reflect")(IMAGES), ValueError, "does not fit 10 pixels"),
    (lambda: T.Pad(1, fill=[1, 2])(IMAGES), ValueError, "2 numbers, but the images have 3 channels"),
    (lambda: T.Pad(1, fill=0.5)((IMAGES * 9).astype(np.uint8)), ValueError, "integers from 0 to 255"),
    (lambda: T.RandomHorizontalFlip(1.5), ValueError, "probability"),
    (lambda: T.Normalize([0.5], [0.0]), ValueError, "zero"),
    (lambda: T.Normalize([0.5] * 2, [1.0] * 2)(IMAGES), ValueError, "2 numbers"),
    (lambda: T.Normalize(0.5, 0.5)((IMAGES * 9).astype(np.uint8)), TypeError, "ToDtype"),
    (lambda: T.Normalize(float("nan"), 1.0), ValueError, "finite"),
    (lambda: T.Normalize("a", 1.0), TypeError, "numbers"),
    (lambda: T.ToDtype(st.int64), ValueError, "int64"),
    (lambda: T.Resize(5, interpolation="lanczos"), ValueError, "nearest"),
    (lambda: T.Resize((5, 5), max_size=7), ValueError, "max_size"),
    (lambda: T.RandomAffine(-5), ValueError, "positive"),
    (lambda: T.RandomAffine(5, translate=(2, 0)), ValueError, "between 0 and 1"),
    (lambda: T.RandomAffine(5, scale=(0, 1)), ValueError, "scale"),
    (lambda: T.RandomAffine(5, shear=(1, 2, 3)), ValueError, "shear"),
    (lambda: T.ColorJitter(brightness=-1), ValueError, "non negative"),
    (lambda: T.ColorJitter(hue=0.6), ValueError, "hue"),
    (lambda: T.ColorJitter(contrast=(2, 1)), ValueError, "ascending"),
    (lambda: T.ColorJitter(0.1)(np.ones((1, 4, 2, 2))), ValueError, "1 or 3 channels"),
    (lambda: T.RandomErasing(scale=(0.1, 2)), ValueError, "between 0 and 1"),
    (lambda: T.RandomErasing(value="noise"), ValueError, "random"),
    (lambda: T.Cutout(3, holes=0), ValueError, "holes"),
    (lambda: T.MixUp(alpha=0), ValueError, "positive"),
    (lambda: T.MixUp()(IMAGES, np.zeros(6, int)), ValueError, "num_classes must be passed"),
    (lambda: T.MixUp(num_classes=2)(IMAGES, np.full(6, 2)), ValueError, "from 0 to 1"),
    (lambda: T.MixUp(num_classes=2)(IMAGES, np.zeros(6)), TypeError, "integers"),
    (lambda: T.MixUp(num_classes=2)(IMAGES, np.zeros(5, int)), ValueError, "for 6 images"),
    (lambda: T.MixUp(num_classes=2)(IMAGES[0], np.zeros(3, int)), ValueError, "batch of images"),
    (lambda: T.MixUp(num_classes=2)((IMAGES * 9).astype(np.uint8), np.zeros(6, int)), TypeError, "ToDtype"),
    (lambda: T.Compose([]), ValueError, "at least one"),
    (lambda: T.Compose([3]), TypeError, "functions"),
    (lambda: T.Lambda(3), TypeError, "function"),
    (lambda: T.RandomCrop(3, generator=3)(IMAGES), TypeError, "Generator"),
]


@pytest.mark.parametrize("call, error, text", REFUSED)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: type(t).__name__)
def test_refused_batches(transform):
    for x, error, text in (
        ([[1.0]], TypeError, "Tensor or an array"),
        (np.ones((2, 2)), ValueError, r"\(N, C, H, W\)"),
        (np.ones((1, 3, 4, 4), np.float16), TypeError, "float16"),
        (np.ones((1, 3, 4, 4), int), TypeError, "int64"),
        (st.ones(1, 3, 8, 8, requires_grad=True), ValueError, "detach"),
    ):
        with pytest.raises(error, match=text):
            transform(x)
