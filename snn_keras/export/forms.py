"""The forms of exported networks."""

# "unrolled": a call runs all time steps; "streaming": a call runs one of them.
FORMS = ("unrolled", "streaming")
