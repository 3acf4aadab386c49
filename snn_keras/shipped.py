"""The trained networks that ship with snn_keras."""

import pathlib

import keras

from snn_keras.loading import load_model

HERE = pathlib.Path(__file__).parent
# In an installed package they stand inside it, in the repository beside it.
FOLDERS = (HERE / "saved_models", HERE.parent / "saved_models")


def folder() -> pathlib.Path:
    """The folder of the networks, and of the test images that ship.

    Raises:
        ValueError: if it is missing.
    """
    found = [path for path in FOLDERS if path.is_dir()]
    if not found:
        raise ValueError(
            "the networks that ship with snn_keras are missing: there is no folder "
            f"{' and no folder '.join(map(str, FOLDERS))}. Remedy: install snn_keras "
            "anew, or restore the folder from the repository."
        )
    return found[0]


def pretrained(name: str | None = None) -> keras.Model | tuple[str, ...]:
    """Loads a trained network that ships, to be given to `convert`.

        model = snn_keras.pretrained("fashion_mnist_adaptor")
        snn = snn_keras.convert(model, timesteps=8)

    The name says the data set and how it was trained; the `.json` beside the file has
    the command and the accuracy. Inputs are images `(batch, height, width, channels)`
    with values in [0, 1].

    Args:
        name: The network's name. None: returns the names instead.

    Returns:
        A `keras.Model`, quantized but for the float ones; or a tuple of names.

    Raises:
        ValueError: if there is no network of this name.
    """
    names = tuple(sorted(path.stem for path in folder().glob("*.keras")))
    if name is None:
        return names
    if name not in names:
        raise ValueError(
            f"no network of this name ships. Received: {name!r}. There are: "
            f"{', '.join(names)}."
        )
    return load_model(folder() / f"{name}.keras")
