"""Files of weights: reading and writing, pretrained weights, key names of other programs."""
