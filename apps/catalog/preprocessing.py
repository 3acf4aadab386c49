"""Layers that prepare data: images, words, categories, sound."""

from keras import layers

from .case import called, every, use

LINE, IMAGE, COLOURS = ((4, 2),), ((4, 4, 2),), ((4, 4, 3),)


def cases():
    """All cases of this module."""
    return [*_tables(), *_images()]


def _tables():
    bins = [0.0, 0.5, 1.0]
    modes = {"output_mode": ["int", "one_hot", "multi_hot", "count"]}
    words = ["a", "b", "c"]
    found = [
        *every("layers.Discretization", modes, bin_boundaries=bins),
        *every(
            "layers.CategoryEncoding",
            {"output_mode": ["multi_hot", "one_hot", "count"]},
            ((1,),),
            dtype="int32",
            num_tokens=8,
        ),
        use("layers.Hashing", 8, shapes=((1,),), dtype="int32"),
        use(
            "layers.HashedCrossing", 8, shapes=((1,), (1,)), listed=True, dtype="int32"
        ),
        *every(
            "layers.IntegerLookup",
            {"output_mode": ["int", "multi_hot"]},
            ((1,),),
            dtype="int32",
            vocabulary=[0, 1, 2],
        ),
        *every(
            "layers.StringLookup",
            {"output_mode": ["int", "multi_hot"]},
            ((1,),),
            dtype="string",
            vocabulary=words,
        ),
        use(
            "layers.TextVectorization",
            vocabulary=words,
            output_sequence_length=3,
            shapes=((1,),),
            dtype="string",
        ),
        use(
            "layers.MelSpectrogram",
            8,
            4,
            num_mel_bins=3,
            sampling_rate=80,
            min_freq=2,
            shapes=((16,),),
        ),
        *every(
            "layers.STFTSpectrogram",
            {"mode": ["log", "magnitude", "real", "imag"]},
            ((16, 1),),
            frame_length=8,
        ),
    ]
    return found


def _images():
    unit = {"value_range": (0, 1)}
    by_factor = (
        *(
            "RandomColorDegeneration",
            "RandomHue",
            "RandomSaturation",
            "RandomSharpness",
        ),
    )
    settings = {
        "RandomBrightness": {"factor": 0.5, **unit},
        "RandomContrast": {"factor": 0.5, **unit},
        "RandomColorJitter": {**unit, "hue_factor": 0.5},
        "RandomCrop": {"height": 2, "width": 2},
        "RandomElasticTransform": unit,
        "RandomErasing": unit,
        "RandomFlip": {},
        "RandomGaussianBlur": unit,
        "RandomGrayscale": {},
        "RandomInvert": unit,
        "RandomPosterization": {"factor": 4, **unit},
        "RandomPerspective": {},
        "RandomRotation": {"factor": 0.5},
        "RandomShear": {"x_factor": 0.5},
        "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5},
        "RandomZoom": {"height_factor": 0.5},
        "RandAugment": unit,
        "AugMix": unit,
        "CutMix": {},
        "MixUp": {},
        **{name: {"factor": 0.5, **unit} for name in by_factor},
    }
    found = [
        use(f"layers.{name}", shapes=COLOURS, **kwargs)
        for name, kwargs in settings.items()
    ]
    # A signal of three axes, its samples among them, is a single image to these.
    found += [
        use("layers.RandomFlip", shapes=LINE),
        use("layers.CenterCrop", 2, 2, shapes=LINE),
    ]
    kinds = {"interpolation": ["nearest", "bilinear", "bicubic"]}
    return [
        *found,
        use("layers.AutoContrast", (0, 1), shapes=COLOURS),
        use("layers.Equalization", (0, 1), shapes=COLOURS),
        use(
            "layers.ContrastLimitedAdaptiveHistogramEqualization",
            (0, 1),
            tile_grid_size=(2, 2),
            shapes=COLOURS,
        ),
        use("layers.Solarization", 0.5, 0.5, (0, 1), shapes=COLOURS),
        use("layers.CenterCrop", 2, 2, shapes=IMAGE, exact=True),
        use("layers.CenterCrop", 6, 6, shapes=IMAGE),
        *every("layers.Resizing", kinds, IMAGE, height=3, width=5),
        use("layers.Resizing", 2, 2, shapes=IMAGE),
        use("layers.Resizing", 2, 4, crop_to_aspect_ratio=True, shapes=IMAGE),
        use(
            "layers.Resizing",
            2,
            4,
            pad_to_aspect_ratio=True,
            fill_value=0.5,
            shapes=IMAGE,
        ),
        called(
            "layers.Pipeline",
            "Rescaling, RandomFlip",
            lambda x: layers.Pipeline([layers.Rescaling(0.5), layers.RandomFlip()])(x),
            *COLOURS,
        ),
    ]
