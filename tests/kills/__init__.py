"""Long runs that are killed, or whose disk is full: nothing is corrupt, all goes on.

    python -m tests.kills --kills=200

`jobs` are runs of the programs, `server` runs them in processes that it kills with
SIGKILL at random moments, and `checking` looks at what they leave behind.
"""
