"""What the business is about."""
