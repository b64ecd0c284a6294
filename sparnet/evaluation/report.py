"""The evaluation as one self-contained page: nothing is loaded from outside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparnet import pages
from sparnet.evaluation.examples import Example
from sparnet.images import Picture, encode_png, resize

TEMPLATE = Path(__file__).with_name("report.html.j2")
COLUMNS = {
    "test/psnr": ("PSNR", "dB", 2),
    "test/ssim": ("SSIM", "", 4),
    "test/identity": ("identity", "cosine", 3),
    "test/landmark_error": ("landmark error", "of eye distance", 4),
    "test/faces_compared": ("faces compared", "", 0),
    "test/faces_found_share": ("faces found", "share", 2),
    "test/pictures": ("pictures", "", 0),
}
ORDER = ("bicubic", "sparnet", "degraded", "sparnethd")
"""Each model after its baseline."""
TITLES = {"sparnet": "SPARNet", "sparnethd": "SPARNetHD"}
SHOWN_SIDE = 256
COLOURS = ("#8a94a6", "#2f7ed8", "#e07b39", "#3aa76d")


@dataclass(frozen=True, eq=False)
class Section:
    """One model in the report: its examples, attention maps, and the CSV of its training."""

    name: str
    baseline: str
    examples: Sequence[Example]
    attention: Picture | None
    curve: pd.DataFrame


def render(
    metrics: Mapping[str, Mapping[str, float]],
    per_image: pd.DataFrame,
    sections: Sequence[Section],
    facts: Mapping[str, str],
    protocol: str,
) -> str:
    """The page as HTML. The same arguments give the same bytes."""
    environment = pages.environment(TEMPLATE.parent)
    environment.filters["data_uri"] = data_uri
    template = environment.get_template(TEMPLATE.name)
    return template.render(
        columns=[(key, *column) for key, column in COLUMNS.items()],
        metrics=_ordered(metrics),
        protocol=protocol,
        facts=facts,
        sections=[
            {
                "section": section,
                "title": TITLES[section.name],
                "compared": metrics[section.name].get("test/faces_compared"),
                "gain": metrics[section.name]["test/psnr"] - metrics[section.baseline]["test/psnr"],
                "histogram": _histogram(per_image, section),
                "curve": _curve(section.curve),
            }
            for section in sections
        ],
    )


def data_uri(picture: Picture) -> str:
    """A picture as a data address, shrunk to what the page shows."""
    side = min(SHOWN_SIDE, picture.shape[0])
    if picture.shape[0] == picture.shape[1] and side != picture.shape[0]:
        picture = resize(picture, (side, side), "lanczos")
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()


def markdown_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The headline table as README and the console show it."""
    head = ["model", *(" ".join(filter(None, column[:2])) for column in COLUMNS.values())]
    lines = [head, ["---"] * len(head)]
    for name, values in _ordered(metrics).items():
        cells = [
            f"{values[key]:.{column[2]}f}" if key in values else "–"
            for key, column in COLUMNS.items()
        ]
        lines.append([name, *cells])
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _ordered(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    return {name: metrics[name] for name in ORDER if name in metrics}


def _histogram(per_image: pd.DataFrame, section: Section) -> str:
    figure, axes = _figure()
    names = (section.baseline, section.name)
    values = [per_image.loc[per_image["contender"] == name, "psnr"] for name in names]
    bins = np.linspace(min(map(min, values)), max(map(max, values)) + 1e-9, 24)
    for name, psnr, colour in zip(names, values, COLOURS, strict=False):
        axes.hist(psnr, bins=list(bins), alpha=0.65, label=name, color=colour)
    axes.set_xlabel("PSNR of a test picture, dB")
    axes.set_ylabel("pictures")
    axes.legend(frameon=False, labelcolor="#7a8190")
    return _svg(figure)


def _curve(curve: pd.DataFrame) -> str:
    figure, axes = _figure()
    measured = curve.dropna(subset=["val/psnr"])
    axes.plot(measured["step"], measured["val/psnr"], marker="o", markersize=3, color=COLOURS[1])
    axes.set_xlabel("training step")
    axes.set_ylabel("validation PSNR, dB")
    return _svg(figure)


def _figure() -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors="#7a8190")
    for part in (axes.xaxis.label, axes.yaxis.label):
        part.set_color("#7a8190")
    for spine in axes.spines.values():
        spine.set_color("#7a8190")
    return figure, axes


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "sparnet", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    drawing = stream.getvalue()
    return drawing[drawing.index("<svg") :]
