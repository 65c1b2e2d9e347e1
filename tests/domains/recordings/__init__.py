"""How long recordings are kept, on the real engine."""
