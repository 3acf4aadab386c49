"""Pictures that are embedded in a report."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from snn_keras.analysis.plots import height_of
from snn_keras.analysis.reporting.html import Html, element
from snn_keras.typing import Inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.3  # inches, the width of a phone, so that text is not scaled down
THUMBNAIL = 96  # most pixels of a side


def check_matplotlib() -> None:
    """Raises an ImportError if Matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "report draws with Matplotlib, which is not installed. Remedy: pip install "
            "matplotlib"
        ) from error


def drawn(plot: "Callable[[Axes], Any]", alt: str, rows: float = 5) -> Html:
    """The picture that `plot(ax)` draws, as an `img` element of SVG.

    Args:
        plot: A function that draws on the given axes.
        alt: The alternative text.
        rows: Number of rows, which sets the height; see `height_of`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings = {
        "font.size": 9,
        "hatch.linewidth": 0.6,
        "legend.fontsize": 8,
        "svg.hashsalt": alt,
    }
    content = io.BytesIO()
    with matplotlib.rc_context(settings):  # type: ignore[arg-type]  # settings by name
        figure = Figure((WIDTH, height_of(rows)), layout="constrained")
        plot(figure.subplots())
        figure.savefig(content, format="svg", metadata={"Date": None})
    return _image("svg+xml", content.getvalue(), alt)


def thumbnails(x: Inputs, indices: Sequence[int]) -> dict[int, Html]:
    """PNG images of samples, by index; empty if the input is not an image.

    Args:
        x: Inputs, as for `predict`.
        indices: The indices of the samples.
    """
    images = np.asarray(x) if hasattr(x, "shape") else None
    if images is None or images.ndim != 4 or not len(indices):
        return {}
    if keras.config.image_data_format() == "channels_first":
        images = np.moveaxis(images, 1, -1)
    if images.shape[-1] not in (1, 3):
        return {}
    every = -(-max(images.shape[1:3]) // THUMBNAIL)
    chosen = images[list(indices), ::every, ::every].astype("float64")
    low, high = chosen.min(), chosen.max()
    scaled = (255 * (chosen - low) / ((high - low) or 1.0)).astype("uint8")
    pixels = np.broadcast_to(scaled, (*scaled.shape[:-1], 3))
    return {
        i: _png(image, f"sample {i}") for i, image in zip(indices, pixels, strict=True)
    }


def _png(pixels, alt):
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, np.ascontiguousarray(pixels), format="png")
    return _image("png", content.getvalue(), alt)


def _image(kind, content, alt):
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return element("img", src=source, alt=alt)
