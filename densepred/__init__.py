"""densepred: train, evaluate and apply dense-prediction models from one command line."""

import sys

from densepred.process import starting

starting.guard(sys.orig_argv)  # before all other imports, which take half a second

__version__ = "0.1.0"
