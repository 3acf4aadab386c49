"""`python -m snn_keras PROGRAM`: what the command `snn_keras` does."""

from snn_keras.apps.__main__ import main

if __name__ == "__main__":
    main()
