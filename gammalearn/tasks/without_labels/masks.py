"""Masks: which patches of pixels are hidden from the network."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...camera import CameraType, pixel_patches
from ...data import CameraImages

__all__ = ["PatchMasks"]

#: Of the order in which patches are dealt out to the steady masks.
SEED = 1


class PatchMasks(nn.Module):
    """Hides some patches of each image, see `gammalearn.camera.pixel_patches`.

    Parameters
    ----------
    cameras : sequence of CameraType
    share : float
        Of the patches to hide.

    Attributes
    ----------
    n_steady : int
        Number of the masks that hide each pixel once.
    """

    def __init__(self, cameras: Sequence[CameraType], share: float):
        super().__init__()
        self.share = share
        self.n_steady = max(round(1 / share), 2)
        self.rows = {camera.name: row for row, camera in enumerate(cameras)}
        for row, camera in enumerate(cameras):
            number = pixel_patches(camera.grid).number
            n_patches = int(number.max()) + 1
            # Few patches of a small camera still fill all masks but those that there is none for.
            steady = np.random.default_rng(SEED).permutation(n_patches) % self.n_steady
            for name, values in (("patch", number), ("steady", steady[number])):
                self.register_buffer(f"{name}_{row}", torch.from_numpy(values), persistent=False)

    def random(self, images: Mapping[str, CameraImages]) -> dict[str, Tensor]:
        """Pixels to hide, drawn for each image.

        Parameters
        ----------
        images : mapping of str to CameraImages

        Returns
        -------
        dict of str to Tensor of bool, shape (n_images, n_pixels)
        """
        hidden = {}
        for name, camera in images.items():
            patch = self.get_buffer(f"patch_{self.rows[name]}")
            n_patches = int(patch.max()) + 1
            n_hidden = max(round(self.share * n_patches), 1)
            chance = torch.rand(len(camera.pixels), n_patches, device=patch.device)
            drawn = torch.zeros_like(chance, dtype=torch.bool)
            drawn.scatter_(1, chance.argsort(dim=1)[:, :n_hidden], True)
            hidden[name] = drawn[:, patch]
        return hidden

    def steady(self, images: Mapping[str, CameraImages], number: int) -> dict[str, Tensor]:
        """Pixels that one of the steady masks hides, the same of all images; as :meth:`random`.

        Parameters
        ----------
        images : mapping of str to CameraImages
        number : int
            From 0 to ``n_steady`` - 1.
        """
        return {
            name: (self.get_buffer(f"steady_{self.rows[name]}") == number).expand(
                len(camera.pixels), -1
            )
            for name, camera in images.items()
        }
