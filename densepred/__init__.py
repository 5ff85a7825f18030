"""densepred: train, evaluate and apply dense-prediction models from one command line."""

import os
import sys

if os.name != "posix":
    sentence = "densepred: it needs Linux or macOS; on Windows install it in WSL 2 (wsl --install)"
    if sys.argv[0] == "-m" or os.path.basename(sys.argv[0]).startswith("densepred-"):
        print(f"error: {sentence}", file=sys.stderr)
        sys.exit(2)
    raise ImportError(sentence)

from densepred.process import starting

starting.guard(sys.orig_argv)  # before all other imports, which take half a second

__version__ = "0.1.0"
