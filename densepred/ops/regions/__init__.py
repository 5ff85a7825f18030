"""Connected components, distances, borders, watershed, merging of segments, run lengths."""
