"""The demo: one model for four theories, with its data."""
