"""Applications whose workers we run: their commands, lives, readiness and output, and the roll from old code to new.

Rules: everything runs in the supervisor's one event loop. What it knows of a worker stands in the arena, so that the
workers of the door balance by it, the admin door shows it, and a supervisor that takes over from a dead one finds the
application's workers and keeps them.
"""
