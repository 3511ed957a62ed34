"""Small landscapes, drawn by arithmetic on integers, with the class of every pixel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from numseg import checks
from numseg.chance import Dice, hashed
from numseg.data.dataset import Dataset, Sample
from numseg.typing import Array, Pair

SKY, MOUNTAIN, MEADOW, WATER, TREE, HOUSE, ROOF, SUN = range(8)
SCENE_CLASSES = ("sky", "mountain", "meadow", "water", "tree", "house", "roof", "sun")

UNIT = 1024
"""Drawing is done in 1/1024 of the picture's height, whatever its size in pixels."""


class Light(NamedTuple):
    """A time of day: colours as (red, green, blue) of 0 to 255."""

    zenith: tuple[int, int, int]
    horizon: tuple[int, int, int]
    sun: tuple[int, int, int]
    lamp: tuple[int, int, int]
    """What a white surface looks like."""


LIGHTS = (
    Light((66, 126, 201), (178, 214, 240), (255, 244, 190), (255, 252, 240)),  # noon
    Light((96, 156, 205), (224, 226, 214), (255, 250, 214), (236, 236, 232)),  # haze
    Light((84, 84, 148), (244, 158, 98), (255, 212, 120), (244, 196, 164)),  # evening
    Light((52, 62, 120), (214, 128, 150), (255, 190, 150), (196, 170, 190)),  # dusk
    Light((14, 20, 52), (52, 66, 112), (232, 236, 222), (104, 116, 156)),  # a night with a moon
)


def scenes(count: int, size: Pair = 96, seed: int = 0) -> Dataset:
    """Generated landscapes with the class of every pixel.

    These pictures are synthetic. They are made to exercise a network and to look at, not to stand
    for photographs: eight classes (:data:`SCENE_CLASSES`) with texture, things in front of one
    another, five times of day that change every colour, and noise. A score on them says that the
    whole chain from data to network to metric works, and nothing about real images.

    Parameters
    ----------
    count : int
        How many.
    size : int or (rows, columns)
        Pixels, at least 16.
    seed : int
        The same seed gives the same pictures, bit for bit, on every machine: all of it is
        arithmetic on integers. Scene ``i`` does not depend on ``count``.

    Returns
    -------
    Dataset
        Images (3, H, W) of uint8, labels (H, W) of uint8; no pixel is ignored.

    Examples
    --------
    >>> from numseg.data import scenes
    >>> image, labels, name = scenes(2, size=64, seed=7)[1]
    >>> image.shape, labels.shape, name
    ((3, 64, 64), (64, 64), 'scene-7-1')
    """
    count = checks.integer("count", count, minimum=0)
    rows, columns = checks.pair("size", size, minimum=16)
    seed = checks.integer("seed", seed, minimum=0)
    samples = [
        Sample(*Canvas(rows, columns, hashed(seed, i)).landscape(), f"scene-{seed}-{i}")
        for i in range(count)
    ]
    return Dataset(tuple(samples), SCENE_CLASSES)


class Thing(NamedTuple):
    """A thing that stands in a scene."""

    label: int
    crowd: bool
    whole: Array
    """(rows, columns) bool: all of it, also what others hide."""


class Canvas:
    """One scene, painted from back to front. All arrays are int64."""

    def __init__(self, rows: int, columns: int, seed: int) -> None:
        self.dice = Dice(seed)
        self.seed = seed
        self.row, self.column = np.indices((rows, columns), np.int64)
        self.y = (2 * self.row + 1) * UNIT // (2 * rows)
        self.x = (2 * self.column + 1) * UNIT // (2 * rows)
        self.width = columns * UNIT // rows
        self.image = np.zeros((3, rows, columns), np.int64)
        self.labels = np.zeros((rows, columns), np.uint8)
        self.textures = 0
        self.things: list[Thing] = []
        self.painting: Thing | None = None
        self.owner = np.full((rows, columns), -1)
        """Of each pixel the number of the thing that shows there, -1 for none."""

    def landscape(self, crowds: bool = False) -> tuple[Array, Array]:
        roll = self.dice.between
        light = LIGHTS[roll(0, len(LIGHTS) - 1)]
        horizon = roll(400, 560)
        self._sky(light, horizon)
        with self._thing(SUN):
            self._sun(light, horizon)
        self._mountains(light, horizon)
        self._meadow(horizon + roll(0, 60))
        if not self.dice.one_in(4):
            self._lake(light, roll(660, 800))
        # what stands lower on the picture is nearer, and painted later
        for foot in sorted(roll(horizon + 120, 960) for _ in range(roll(5, 9))):
            place = roll(0, self.width - 1)
            if self._ground(place, foot) == MEADOW:
                label = HOUSE if self.dice.one_in(2) else TREE
                with self._thing(label):
                    (self._house if label == HOUSE else self._tree)(place, foot, horizon)
        if crowds:
            self._grove(horizon)
        return self._developed(light), self.labels

    # -- tools -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _thing(self, label: int, crowd: bool = False) -> Iterator[None]:
        """What is painted now is one thing."""
        self.things.append(Thing(label, crowd, np.zeros(self.labels.shape, bool)))
        self.painting = self.things[-1]
        yield
        self.painting = None

    def _texture(self) -> int:
        """A seed for the next texture."""
        self.textures += 1
        return int(hashed(self.seed, -self.textures))

    def _grain(self) -> Array:
        """Independent numbers in [-128, 127], one per pixel."""
        return (hashed(self._texture(), self.row, self.column) >> 56).astype(np.int64) - 128

    def _noise(self, x: Array, y: Array, cell: int) -> Array:
        """Smooth noise in [-128, 127] whose bumps are ``cell`` units wide."""
        i, u = np.divmod(x, cell)
        j, v = np.divmod(y, cell)
        u, v = _smooth(u * 256 // cell), _smooth(v * 256 // cell)
        i, j = i - i.min(), j - j.min()
        posts = np.indices((int(j.max()) + 2, int(i.max()) + 2), np.int64)
        lattice = (hashed(self._texture(), *posts) >> 56).astype(np.int64)
        top = lattice[j, i] * (256 - u) + lattice[j, i + 1] * u
        bottom = lattice[j + 1, i] * (256 - u) + lattice[j + 1, i + 1] * u
        return ((top * (256 - v) + bottom * v) >> 16) - 128

    def _ridge(self, base: int, height: int, cell: int) -> Array:
        """The y of a skyline in every column: three octaves of noise about ``base``."""
        x = self.x[:1]
        line = np.full_like(x, base)
        for octave in range(3):
            wave = self._noise(x, np.zeros_like(x), max(cell >> octave, 2))
            line = line + (wave * height >> (7 + octave))
        return line

    def _paint(self, where: Array, label: int, colour: tuple[int, int, int], shade: Array) -> None:
        """Fill with a colour times ``shade``, in 1/256."""
        number = -1
        if self.painting is not None:
            number = len(self.things) - 1
            if self.painting.crowd:  # behind all that stands nearer, which was painted before it
                where = where & ((self.owner < 0) | (self.owner == number) | (self.labels == SUN))
            self.painting.whole[where] = True
        self.owner[where] = number
        for channel, value in zip(self.image, colour, strict=True):
            channel[where] = (value * shade)[where] >> 8
        self.labels[where] = label

    def _varied(self, colour: tuple[int, int, int], amount: int) -> tuple[int, int, int]:
        """A colour near this one."""
        roll = self.dice.between
        r, g, b = (min(max(c + roll(-amount, amount), 0), 255) for c in colour)
        return r, g, b

    # -- the things --------------------------------------------------------------------------

    def _sky(self, light: Light, horizon: int) -> None:
        down = np.clip(self.y * 256 // horizon, 0, 256)
        cloud = self._noise(self.x, self.y * 3, 300) + self._noise(self.x, self.y * 3, 110) // 2
        cloud = np.clip((cloud - self.dice.between(10, 70)) * 3, 0, 200)
        for channel, top, bottom, lamp in zip(
            self.image, light.zenith, light.horizon, light.lamp, strict=True
        ):
            clear = (top * (256 - down) + bottom * down) >> 8
            channel[:] = clear + ((lamp - clear) * cloud >> 8)

    def _sun(self, light: Light, horizon: int) -> None:
        roll = self.dice.between
        x, y, radius = roll(0, self.width), roll(90, horizon - 60), roll(84, 124)
        distance = (self.x - x) ** 2 + (self.y - y) ** 2
        glow = np.clip(200 - distance * 200 // (3 * radius) ** 2, 0, 110)
        for channel, value in zip(self.image, light.sun, strict=True):
            channel += (value - channel) * glow >> 8
        self._paint(distance < radius**2, SUN, light.sun, np.full_like(self.x, 256))

    def _mountains(self, light: Light, horizon: int) -> None:
        roll = self.dice.between
        ridge = self._ridge(horizon - roll(90, 190), roll(120, 200), roll(260, 420))
        rock = self._noise(self.x + self.y, self.y * 2, 60) + self._noise(self.x, self.y, 24) // 2
        shade = 236 + rock // 2 + self._grain() // 8
        where = self.y >= ridge
        self._paint(where, MOUNTAIN, self._varied((112, 108, 128), 18), shade)
        snow = where & (self.y < horizon - roll(130, 240) + rock // 2 - (self.y - ridge) // 3)
        self._paint(snow, MOUNTAIN, (236, 240, 248), shade)
        # air between: the farther down, the more of the horizon's colour
        air = np.clip((self.y - ridge) // 3, 0, 110)
        for channel, value in zip(self.image, light.horizon, strict=True):
            channel[where] += ((value - channel) * air >> 8)[where]

    def _meadow(self, base: int) -> None:
        ridge = self._ridge(base, self.dice.between(30, 90), self.dice.between(300, 600))
        blades = self._noise(self.x * 3, self.y, 40) // 3 + self._grain() // 4
        patches = self._noise(self.x, self.y * 3, 180) // 3
        near = np.clip((self.y - ridge) // 8, 0, 60)
        colour = self._varied((104, 146, 62), 22)
        self._paint(self.y >= ridge, MEADOW, colour, 216 + near + blades + patches)

    def _lake(self, light: Light, base: int) -> None:
        shore = self._ridge(base, self.dice.between(40, 110), self.dice.between(500, 900))
        far = self.dice.between(base + 80, 1150)
        lower = self._ridge(far, self.dice.between(30, 80), self.dice.between(400, 800))
        where = (self.y >= shore) & (self.y < lower) & (self.labels == MEADOW)
        waves = self._noise(self.x, self.y * 5, 90) // 2 + self._grain() // 10
        r, g, b = ((3 * z + 2 * h) // 5 for z, h in zip(light.zenith, light.horizon, strict=True))
        self._paint(where, WATER, (r * 7 // 8, g, b), 222 + waves)
        foam = where & (self.y < shore + 10)
        self._paint(foam, WATER, light.horizon, 256 + waves // 4)

    def _ground(self, x: int, y: int) -> int:
        """What has been painted at a place."""
        rows, columns = self.labels.shape
        return int(self.labels[y * rows // UNIT, x * columns // self.width])

    def _scale(self, foot: int, horizon: int) -> int:
        """How large things are that stand at ``foot``, in 1/256: perspective."""
        return 110 + (foot - horizon) * 200 // (UNIT - horizon)

    def _tree(self, x: int, foot: int, horizon: int) -> None:
        roll, scale = self.dice.between, self._scale(foot, horizon)
        height, half = roll(300, 440) * scale >> 8, roll(90, 130) * scale >> 8
        right, up = self.x - x, foot - self.y
        trunk = (abs(right) < half // 7 + 4) & (up >= 0) & (up < height // 2)
        leaf = self._noise(self.x, self.y, 26) // 2 + self._grain() // 3
        if self.dice.one_in(2):  # a fir: tiers of branches
            tier = height // 4
            reach = half * (height - up) // height + np.mod(-up, tier) * half // (tier * 4)
            crown = (abs(right) < reach) & (up > height // 7) & (up < height)
            colour = self._varied((44, 92, 66), 18)
        else:  # a round crown with a ragged edge
            middle, tall = height * 2 // 3, height * 2 // 5
            edge = 256 + self._noise(self.x, self.y, 50) // 2
            round_ = (right * 256 // half) ** 2 + ((up - middle) * 256 // tall) ** 2
            crown = round_ < edge**2
            colour = self._varied((74, 112, 40), 24)
            if self.dice.one_in(4):
                colour = self._varied((186, 104, 44), 20)  # autumn
        self._paint(trunk, TREE, (92, 66, 48), 230 + self._grain() // 4)
        self._paint(crown, TREE, colour, 236 + leaf - right * 48 // half)

    def _grove(self, horizon: int) -> None:
        """Small trees, too many to tell apart: a crowd. Their chance is apart from the rest, so
        that all else in the picture stays as it is."""
        kept = self.dice, self.seed, self.textures
        self.seed, self.textures = hashed(self.seed, 1), 0
        self.dice = Dice(self.seed)
        roll = self.dice.between
        middle = roll(0, self.width - 1)
        with self._thing(TREE, crowd=True):
            for foot in sorted(roll(horizon + 40, horizon + 110) for _ in range(roll(10, 16))):
                place = middle + roll(-160, 160)
                ground = self._ground(place, foot) if 0 <= place < self.width else SKY
                if ground in (MEADOW, TREE, HOUSE, ROOF):
                    self._tree(place, foot, horizon)
        self.dice, self.seed, self.textures = kept

    def _house(self, x: int, foot: int, horizon: int) -> None:
        roll, scale = self.dice.between, self._scale(foot, horizon)
        half, wall, gable = (roll(*r) * scale >> 8 for r in ((120, 190), (120, 190), (110, 180)))
        right, up = self.x - x, foot - self.y
        front = (abs(right) < half) & (up >= 0) & (up < wall)
        course = np.maximum(scale * 22 >> 8, 3)
        line, along = np.divmod(up, course)
        joint = (np.mod(right + line % 2 * course, 2 * course) < course // 4) | (
            np.mod(up, course) < course // 4
        )
        walls = ((206, 190, 160), (190, 120, 96), (226, 222, 212), (160, 150, 146))
        colour = self._varied(walls[roll(0, 3)], 14)
        shade = 250 - joint * 40 + self._grain() // 6 - right * 24 // half + 0 * along
        self._paint(front, HOUSE, colour, shade)
        lit = (255, 220, 130) if self.dice.one_in(2) else (66, 78, 98)
        across, storey = np.mod(right + half, half), up * 4 // wall
        window = front & (abs(across - half // 2) < half // 5) & (storey >= 1) & (storey <= 2)
        self._paint(window, HOUSE, lit, np.full_like(self.x, 256))
        slope = (half + half // 5) * (wall + gable - up) // gable
        roof = (up >= wall) & (up < wall + gable) & (abs(right) < slope)
        tiles = np.where(np.mod(up, course) < course // 3, -46, 0) + self._grain() // 5
        roofs = ((166, 70, 52), (92, 84, 96), (136, 92, 64))
        self._paint(roof, ROOF, self._varied(roofs[roll(0, 2)], 16), 244 + tiles)

    def _developed(self, light: Light) -> Array:
        """The light of the day on everything but the sky and the sun, and a camera's noise."""
        shaded = (self.labels != SKY) & (self.labels != SUN) & (self.labels != WATER)
        strength = self.dice.between(6, 14)
        for channel, lamp in zip(self.image, light.lamp, strict=True):
            channel[shaded] = (channel * lamp >> 8)[shaded]
            channel += (self._grain() + self._grain()) * strength >> 7
        return np.clip(self.image, 0, 255).astype(np.uint8)


def _smooth(t: Array) -> Array:
    """``3 t^2 - 2 t^3`` in 1/256."""
    return t * t * (768 - 2 * t) >> 16
