"""Training and evaluation: the loop, mixed precision, EMA, flip averaging, signals, oracle, diagnostics."""
