"""What people are reminded of, on the real engine."""
