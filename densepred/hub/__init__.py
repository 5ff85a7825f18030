"""Published files of weights: their table, their download, and readers that run nothing from them."""
