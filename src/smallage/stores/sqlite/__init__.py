"""The SQLite store, through apsw."""
