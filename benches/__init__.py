"""Benches: each prints ratios measured in one run, side by side with its peers."""
