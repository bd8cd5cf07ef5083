"""The settings of the augmentation, and their record in a store or run."""

import dataclasses

from kd_keras.config import augment
from kd_keras.config.field import check, check_type
from kd_keras.data.augmentation import mixing
from kd_keras.data.augmentation.table import ALL, AUGMENTATIONS, CROPS

# The fields that stores have recorded from the first version on.
_FIRST_FIELDS = ("seed", "translate", "mirror", "cutout", "mixup", "cutmix")


@dataclasses.dataclass(frozen=True)
class ViewSpec:
    """Settings of the augmentation; by default images stay as they are.

    The manifest of a store holds these fields: names and defaults are fixed.

    Attributes:
        seed: int; another seed gives other views.
        translate: int, largest shift in pixels, in each direction. Pixels
            from outside of the image are filled by reflection.
        mirror: `none`; `random`, each view is mirrored with probability 1/2;
            `alternating`, an example is mirrored in every second view.
        crop_scale: `(low, high)`, the range of the share of the original
            image that a random crop shows; empty for no crop. The crop is
            resized to the size of the images.
        crop_ratio: `(low, high)`, the range of the crop's width / height.
        rand_augment: int, how many random operations RandAugment applies to
            a view, one after the other; 0 for none.
        magnitude: int from 0 to 30, their strength. 30 is the
            end of each operation's range.
        trivial_augment: bool, whether one random operation of random strength
            is applied to each view, from TrivialAugment's wide space.
        brightness, contrast, saturation: floats, by how much a factor may
            differ from 1: 0.4 for factors from 0.6 to 1.4.
        hue: float, the largest turn of the hue, whose circle has length 1.
        grey: float, the share of views without colours.
        blur: float, the share of views that are blurred.
        blur_sigma: `(low, high)`, the range of the blur's standard deviation
            in pixels.
        cutout: int, side in pixels of a grey square; 0 for none.
        erasing: float, the share of views in which a box of 2 to 33 % of the
            area is covered with a random colour.
        order: tuple of names of the augmentations of one image, in the order
            in which they are applied; empty for the order of the table.
        mixup: float, the share of views that are a weighted mean of two
            images, the example's and its partner's. The weight is uniform in
            [0, 1).
        cutmix: float, the share of views in which a box of the partner's
            image is pasted. The box's share of the area, before it is
            clipped at the edge, is uniform in (0, 1].

    Raises:
        ValueError: if a value is not one that `config.data` may have, or
            `order` lacks an augmentation that is used.

    Reference:
        - mixup: [Zhang et al., 2018](https://arxiv.org/abs/1710.09412)
        - cutmix: [Yun et al., 2019](https://arxiv.org/abs/1905.04899)
        - both without labels, for teacher and student alike:
          [Beyer et al., 2022](https://arxiv.org/abs/2106.05237)
        - alternating mirror: [Jordan, 2024](
          https://arxiv.org/abs/2404.00498), section 3.6
        - random crop: [Szegedy et al., 2015](
          https://arxiv.org/abs/1409.4842), as torchvision's
          `RandomResizedCrop`
        - RandAugment: [Cubuk et al., 2020](
          https://arxiv.org/abs/1909.13719)
        - TrivialAugment: [Mueller & Hutter, 2021](
          https://arxiv.org/abs/2103.10158)
        - colours: [Howard, 2013](https://arxiv.org/abs/1312.5402), as
          torchvision's `ColorJitter`
        - grey and blur: [Chen et al., 2020](
          https://arxiv.org/abs/2002.05709), appendix A
        - erasing: [Zhong et al., 2020](https://arxiv.org/abs/1708.04896)
        - cutout: [DeVries & Taylor, 2017](https://arxiv.org/abs/1708.04552)
    """

    seed: int = 0
    translate: int = 0
    mirror: str = "none"
    cutout: int = 0
    crop_scale: tuple = ()
    crop_ratio: tuple = (3 / 4, 4 / 3)
    rand_augment: int = 0
    magnitude: int = 9
    trivial_augment: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple = (0.1, 2.0)
    erasing: float = 0.0
    order: tuple = ()
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self):
        rules = {x.name: x.rule for x in (*augment.FIELDS, *augment.MIXING)}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            check_type(entry.name, value, entry.default)
            if rules[entry.name]:
                check(rules[entry.name], entry.name, value)
        for name, augmentation in AUGMENTATIONS.items():
            if self.order and name not in self.order and self._uses(name):
                fields = self.values(augmentation.fields)
                raise ValueError(
                    "augment.order must name every augmentation that is "
                    f"used. Received: {','.join(self.order)} without {name}, "
                    f"which is used: {_listed(fields)}"
                )

    @classmethod
    def from_record(cls, record):
        """Returns the `ViewSpec` of a `record`.

        Raises:
            ValueError: if the record is of other versions of augmentations.
        """
        fields = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
            if name in _DEFAULTS
        }
        order = [step.split(" ")[0] for step in record.get("steps", [])]
        order = tuple(name for name in order if name in AUGMENTATIONS)
        spec = cls(**fields, order=order)
        if spec.record() != record:
            raise ValueError(
                "views must be made by the augmentations of the record, of "
                f"the same versions. Received: {record}, which would be "
                f"{spec.record()} now"
            )
        return spec

    @property
    def mixes(self):
        """Whether views are mixed with a partner's views."""
        return any(getattr(self, field) > 0 for field in mixing.MIXING)

    @property
    def is_plain(self):
        """Whether views are the unchanged images, whatever the seed."""
        return is_plain(self.record())

    @property
    def used(self):
        """Names of the augmentations of one image that are used, in order."""
        return [x for x in self.order or AUGMENTATIONS if self._uses(x)]

    @property
    def crop(self):
        """Name of the augmentation that chooses the part to read, or None."""
        return next((name for name in CROPS if self._uses(name)), None)

    @property
    def steps(self):
        """The augmentations that are used, in order, with their versions.

        Returns:
            List of str, such as `colour 1`. Empty if stores name all of them
            without a version and their order is the table's.
        """
        used = [*filter(None, [self.crop]), *self.used]
        versions = [ALL[name].version for name in used]
        first = [name for name in ALL if name in used]
        if not any(versions) and used == first:
            return []
        return [
            f"{name} {version or 0}" for name, version in zip(used, versions)
        ]

    def record(self):
        """The JSON values that the views depend on, as a store records them.

        Later fields are recorded only where they are used, so that the
        records of earlier versions stay valid.
        """
        later = [
            field
            for name in ALL
            if self._uses(name)
            for field in ALL[name].fields
            if field not in _FIRST_FIELDS
        ]
        record = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.values((*_FIRST_FIELDS, *later)).items()
        }
        return {**record, "steps": self.steps} if self.steps else record

    def values(self, names):
        """Returns some of the fields: dict of names to values."""
        return {name: getattr(self, name) for name in names}

    def _uses(self, name):
        switches = self.values(ALL[name].switches)
        return any(
            value != _DEFAULTS[field] for field, value in switches.items()
        )


def is_plain(record):
    """Whether the views of a `ViewSpec.record` are the unchanged images."""
    return {**record, "seed": 0} == ViewSpec().record()


_DEFAULTS = {
    entry.name: entry.default for entry in dataclasses.fields(ViewSpec)
}


def _listed(fields):
    return ", ".join(f"{name}={value!r}" for name, value in fields.items())
