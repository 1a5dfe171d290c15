"""What the server does by the clock, and long work on one account's data: plain coroutines, begun in one place."""
