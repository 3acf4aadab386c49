"""Small data sets on disk."""

import pytest


def make_tiny(folder, images, shape=None, like=None):
    """Writes a TFDS data set of four classes; `test` is its beginning.

    It is named "tiny", of images of `shape`; or it is in the place of the data set of
    TFDS named `like`.
    """
    tfds = pytest.importorskip("tensorflow_datasets")
    features = {
        "image": tfds.features.Image(shape=shape),
        "label": tfds.features.ClassLabel(num_classes=4),
    }
    version = "1.0.0"
    if like:
        known = tfds.builder(like, data_dir=folder)
        features, version = dict(known.info.features), known.version

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = like or "tiny"
        VERSION = tfds.core.Version(version)

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(images),
                "test": self._generate_examples(images[:7]),
            }

        def _generate_examples(self, images):
            for i, image in enumerate(images):
                example = {"image": image, "label": i % 4, "id": str(i)}
                yield i, {name: example[name] for name in features}

    Tiny(data_dir=folder).download_and_prepare()
