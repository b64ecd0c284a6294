"""Picture quality by a named protocol, on uint8 HxWx3 pictures."""

from __future__ import annotations

from skimage.metrics import structural_similarity

from sparnet.images import Picture, Protocol, luma, psnr

__all__ = ["psnr", "ssim"]


def ssim(a: Picture, b: Picture, protocol: Protocol = "official") -> float:
    """Mean structural similarity, -1..1, of two uint8 HxWx3 pictures on luma (Wang et al., 2004).

    Gaussian window of sigma 1.5 (11 taps), population covariance, data range 255, no border crop.
    "official" cuts the luma down to whole numbers, "float" does not. Raises ValueError where the
    shapes differ or a side is below 11 pixels.
    """
    truncate = protocol == "official"
    return float(
        structural_similarity(
            luma(a, truncate),
            luma(b, truncate),
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )
