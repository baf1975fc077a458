"""Workflows on their way: trees become messages, are sent, and go on when their tasks end."""
