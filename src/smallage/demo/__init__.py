"""The demonstration: a playlist of 1,000 videos is fetched over HTTP at 50 at a time, indexed and made searchable."""
