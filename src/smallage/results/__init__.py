"""What handles of results are made of: reading, waiting, errors that come back, sets and trees of results."""
