"""The images of clothing that come with the package; where they are from is in data/README.md."""

from importlib import resources

import numpy as np

CLASSES, PIXELS = 10, 64


def images(part: str, each: int) -> np.ndarray:
    """Return the first ``each`` images of every class of ``"train"`` or ``"test"``, sorted by class.

    They have shape ``(10 * each, 64)``, and are zeros and ones.
    """
    with resources.files(__package__).joinpath("data", "fashion8.npz").open("rb") as file, np.load(file) as stored:
        packed = stored[part][:, :each]
    if packed.shape[1] < each:
        raise ValueError(f"{part}_images is {each}, but there are {packed.shape[1]} images of each class.")
    return np.unpackbits(packed, axis=-1).reshape(CLASSES * each, PIXELS).astype(float)
