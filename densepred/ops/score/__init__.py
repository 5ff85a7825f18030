"""What metrics are computed from: counts, matches, average precision."""
