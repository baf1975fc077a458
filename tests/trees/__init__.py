"""Random workflows with crashes: what the engine makes of them, beside what a few lines of plain Python make."""
