"""Floor 4: integrations with frameworks and monitoring."""
