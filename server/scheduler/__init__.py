"""The scheduler: keeps time and sweeps; it enqueues, and runs no job."""
