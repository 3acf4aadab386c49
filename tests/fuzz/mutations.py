"""Damages of the bytes of any file."""

import os


def truncated(content, rng):
    """The file ends too early."""
    return content[: rng.integers(0, len(content))]


def flipped(content, rng):
    """A few bits are wrong."""
    wrong = bytearray(content)
    for place in rng.integers(0, len(wrong), rng.integers(1, 9)):
        wrong[place] ^= 1 << rng.integers(0, 8)
    return bytes(wrong)


def overwritten(content, rng):
    """A stretch of bytes is zeros, ones or noise."""
    begin = rng.integers(0, len(content))
    length = min(len(content) - begin, int(rng.integers(1, 65)))
    fill = (bytes(length), b"\xff" * length, rng.bytes(length))[rng.integers(0, 3)]
    return content[:begin] + fill + content[begin + length :]


def moved(content, rng):
    """A stretch of bytes stands in another place."""
    begin, end, place = sorted(rng.integers(0, len(content), 3))
    return content[:begin] + content[end:place] + content[begin:end] + content[place:]


def repeated(content, rng):
    """A stretch of bytes stands there twice."""
    begin, end = sorted(rng.integers(0, len(content), 2))
    return content[:end] + content[begin:end] + content[end:]


def extended(content, rng):
    """Something follows the end."""
    return content + rng.bytes(int(rng.integers(1, 1000)))


def large_number(content, rng):
    """Four or eight bytes are a large number, or a negative one."""
    width = int(rng.choice([4, 8]))
    number = int(rng.choice([2**31 - 1, 2**31, 2**24, 2**32 - 1]))
    order = ("little", "big")[rng.integers(0, 2)]
    place = rng.integers(0, max(1, len(content) - width))
    packed = number.to_bytes(width, order)
    return content[:place] + packed + content[place + width :]


def foreign(content, rng):
    """It is another file altogether."""
    return (b"", bytes(1000), os.fsencode("text " * 100), rng.bytes(1000))[
        rng.integers(0, 4)
    ]


EVERY = (
    *(truncated, flipped, overwritten, moved, repeated, extended, large_number),
    foreign,
)
