"""Floor 1: the only place that opens a socket or a database."""
