"""Tests of Smallage."""
