"""One file a migration, with its SQL beside it."""
