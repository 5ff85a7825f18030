"""Everything that a run writes into its folder and reads back: checkpoints, provenance, log, images, console."""
