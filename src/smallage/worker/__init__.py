"""Floor 3: the long-running services of a worker."""
