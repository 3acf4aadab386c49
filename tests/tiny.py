"""Small data sets on disk."""

import pytest


def make_tiny(folder, images, shape):
    """Writes a TFDS data set named "tiny", of four classes; `test` is its beginning."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=shape),
                        "label": tfds.features.ClassLabel(num_classes=4),
                    }
                ),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(images),
                "test": self._generate_examples(images[:7]),
            }

        def _generate_examples(self, images):
            for i, image in enumerate(images):
                yield i, {"image": image, "label": i % 4}

    Tiny(data_dir=folder).download_and_prepare()
