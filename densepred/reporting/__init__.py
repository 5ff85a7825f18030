"""Reports on runs: tables, charts, significance, model cards."""
