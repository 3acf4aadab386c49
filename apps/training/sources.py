"""Where training images come from: out of memory, or read as the training goes."""

import math

import keras
import numpy as np

from .. import data
from .batches import (
    Batches,
    OrderedBatches,
    check_batch_size,
    one_hot,
)

TEST_BATCH = 500
# Images that are shuffled among one another where they are read as the training goes.
SHUFFLED = 10_000
# The share of an image that a random crop takes, and the ratio of its sides.
AREA = (0.25, 1.0)
RATIO = (3 / 4, 4 / 3)
# The centre of test images, as a share of their shorter side.
CENTRE = 0.875


class InMemory:
    """A data set that fits into memory.

    Attributes:
        shape: Of an image.
        classes: Number of classes.
        held_out: A `data.Split` of training images held out, or None.
    """

    def __init__(self, name, data_dir, train_images=0):
        self.train = data.load(name, "train", data_dir).take(train_images)
        self.test = data.load(name, "test", data_dir)
        self.shape = self.train.images.shape[1:]
        self.classes = int(self.train.labels.max()) + 1

    def sample(self, count):
        """The first training images, as a network takes them."""
        return data.preprocess(self.train.take(count).images)

    def hold_out(self, count):
        """This source without the last training images, and these as a `Split`."""
        rest = object.__new__(InMemory)
        rest.__dict__.update(self.__dict__)
        rest.train, held_out = self.train.hold_out(count)
        return rest, held_out

    def batches(self, batch_size, seed, augmentation, where):
        """Training batches; see `Batches`."""
        return Batches(
            self.train,
            batch_size,
            seed,
            augmentation,
            classes=self.classes,
            part=where.part,
            resident=keras.backend.backend() == "jax" and where.replicas == 1,
        )

    def test_batches(self, where):
        """Test batches; see `OrderedBatches`."""
        return OrderedBatches(
            self.test, TEST_BATCH, self.classes, where.part, where.replicas
        )


class Stream:
    """A TFDS data set of images of any size, read and decoded as the training goes.

    Training images are cropped at random and resized, test images are resized and
    cropped in the middle.

    Args:
        name, data_dir: Of the data set.
        size: Side of the square images that the network takes.
        train_images: Use the first so many only; 0 for all.
    """

    def __init__(self, name, data_dir, size, train_images=0):
        self.builder = data.tfds_builder(name, data_dir)
        splits = self.builder.info.splits
        self.test_split = next(s for s in ("test", "validation") if s in splits)
        self.count = splits["train"].num_examples
        self.count = min(train_images or self.count, self.count)
        self.train_split = f"train[:{self.count}]"
        self.size = size
        channels = self.builder.info.features["image"].shape[-1]
        self.shape = (size, size, channels)
        self.classes = self.builder.info.features["label"].num_classes

    def sample(self, count):
        """The first training images, as a network takes them."""
        return data.preprocess(self._split(f"train[:{min(count, self.count)}]").images)

    def hold_out(self, count):
        """This source without the last training images, and these as a `Split`."""
        if not 0 < count < self.count:
            raise ValueError(
                f"Cannot hold out {count} of {self.count} images. Remedy: --held_out."
            )
        rest = object.__new__(Stream)
        rest.__dict__.update(self.__dict__)
        rest.count = self.count - count
        rest.train_split = f"train[:{rest.count}]"
        return rest, self._split(f"train[{rest.count}:{self.count}]")

    def _split(self, name):
        """A part of the data set, as test images are made, in memory."""
        pairs = list(self._decoded(name, self._centre).as_numpy_iterator())
        return data.Split(
            np.stack([x for x, _ in pairs]), np.array([y for _, y in pairs])
        )

    def _decoded(self, split, crop):
        """A `tf.data.Dataset` of cropped uint8 images and labels."""
        import tensorflow as tf

        examples = self.builder.as_dataset(split=split)
        return examples.map(
            lambda x: (crop(x["image"]), x["label"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def _centre(self, image):
        import tensorflow as tf

        size = tf.cast(tf.shape(image)[:2], tf.float32)
        side = tf.cast(tf.round(tf.reduce_min(size) * CENTRE), tf.int32)
        y, x = [(tf.shape(image)[i] - side) // 2 for i in (0, 1)]
        return self._resized(tf.image.crop_to_bounding_box(image, y, x, side, side))

    def _resized(self, image):
        import tensorflow as tf

        image = tf.image.resize(image, (self.size, self.size), antialias=True)
        image.set_shape(self.shape)
        return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)

    def batches(self, batch_size, seed, augmentation, where):
        """Training batches without end, from the epoch that is set."""
        check_batch_size(batch_size, self.count, where.part)
        return StreamedBatches(self, batch_size, seed, augmentation, where.part)

    def epoch(self, epoch, seed, part):
        """Shuffled training images of one epoch, cropped at random."""
        import tensorflow as tf

        i, n = part
        key = int(np.random.default_rng([seed, epoch]).integers(2**31))
        examples = self.builder.as_dataset(split=self.train_split)
        examples = examples.shuffle(min(SHUFFLED, self.count), seed=key)
        examples = examples.enumerate().shard(n, i)

        def cropped(place, x):
            draw = tf.stack([key, tf.cast(place, tf.int32)])
            return self._random_crop(x["image"], draw), x["label"]

        return examples.map(cropped, num_parallel_calls=tf.data.AUTOTUNE)

    def _random_crop(self, image, key):
        import tensorflow as tf

        whole = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image),
            whole,
            key,
            min_object_covered=0.0,
            area_range=AREA,
            aspect_ratio_range=RATIO,
            use_image_if_no_bounding_boxes=True,
        )
        return self._resized(tf.slice(image, begin, size))

    def test_batches(self, where):
        """Test batches, the last of them filled up with images of weight 0."""
        i, n = where.part
        count = self.builder.info.splits[self.test_split].num_examples
        size = min(TEST_BATCH, count)
        size += -size % where.replicas
        return StreamedTest(self, count, size // n, i, n)


class StreamedBatches:
    """What `Stream.batches` gives: an endless iterator for `fit`.

    Attributes:
        epoch: Number of the epoch that it begins with, from 0.
    """

    def __init__(self, stream, batch_size, seed, augmentation, part):
        self.stream = stream
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation
        self.part = part
        self.epoch = 0

    def __len__(self):
        return self.stream.count // self.batch_size

    def __iter__(self):
        epoch = self.epoch
        while True:
            images = self.stream.epoch(epoch, self.seed, self.part)
            images = images.batch(self.batch_size // self.part[1], drop_remainder=True)
            numbered = enumerate(images.prefetch(2).take(len(self)).as_numpy_iterator())
            for number, (images, labels) in numbered:
                rng = np.random.default_rng([self.seed, epoch, number, *self.part])
                yield self._augmented(images, labels, rng)
            epoch += 1

    def _augmented(self, images, labels, rng):
        if self.augmentation.flip:
            mirrored = rng.random(len(images)) < 0.5
            images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
        labels = one_hot(labels, self.stream.classes)
        drawn = self.augmentation.draws(*images.shape[:3], rng)
        return self.augmentation.finished(images, labels, drawn)


class StreamedTest(keras.utils.PyDataset):
    """What `Stream.test_batches` gives: batches in order, one pass after the other."""

    def __init__(self, stream, count, size, part, parts):
        super().__init__()
        self.stream = stream
        self.count, self.size, self.part, self.parts = count, size, part, parts
        self._batches = None

    def __len__(self):
        return math.ceil(self.count / (self.size * self.parts))

    def __getitem__(self, index):
        if index == 0 or self._batches is None:
            images = self.stream._decoded(self.stream.test_split, self.stream._centre)
            images = images.shard(self.parts, self.part).batch(self.size).prefetch(2)
            self._batches = images.as_numpy_iterator()
        images = np.zeros((self.size, *self.stream.shape), "uint8")
        labels = np.zeros(self.size, "int64")
        weights = np.zeros(self.size, "float32")
        # Another part may have an image more, and a batch more for it.
        found = next(self._batches, None)
        if found is not None:
            count = len(found[1])
            images[:count], labels[:count] = found
            weights[:count] = 1.0
        return data.preprocess(images), one_hot(labels, self.stream.classes), weights
