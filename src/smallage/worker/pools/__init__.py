"""The places where task code runs."""
