"""densepred: train, evaluate and apply dense-prediction models from one command line."""

__version__ = "0.1.0"
