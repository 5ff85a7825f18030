"""Sweeps (`--multirun`): jobs in processes of their own, their ledger, their table, and the search for settings."""
