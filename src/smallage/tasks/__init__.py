"""What the class `Task` is made of: its options worked out, its retries, its signatures."""
