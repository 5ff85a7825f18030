"""Interpolation of maps, whole or band of rows by band of rows."""
