"""What several hosts share through Redis: the decisions of limits.

Rules: a connection of our own over hiredis' parser (`pipe`) carries the decisions, without a task per request; redis-py
asks Sentinels and clusters who decides, and is loaded only for those, since that takes a quarter of a second. Without
the extra `redis` everything here can be imported all the same.
"""
