"""Tests of the Redis store itself; what it shares with the others is in tests/contract."""
