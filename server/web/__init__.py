"""Pages for people: rendered here, kept live over server-sent events."""
