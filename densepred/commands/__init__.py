"""Commands beside training, evaluation and prediction, one module each."""
