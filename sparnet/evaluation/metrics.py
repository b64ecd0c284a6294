"""PSNR and SSIM by named protocol: the public place of `sparnet.metrics`."""

from sparnet.metrics import psnr, ssim

__all__ = ["psnr", "ssim"]
