"""Floor 0: what a task is and what may happen to it. No I/O, no clock, no randomness, no threads."""
