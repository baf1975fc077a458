"""Stand-ins on the loopback for the services that the program uses."""
