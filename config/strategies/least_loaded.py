"""A strategy of one's own in ten lines: the backend with the fewest requests per weight, equals drawn by lot.

In a configuration, `balance = "strategies.least_loaded:LeastLoaded"`; in the laboratory,
`frontgate lab simulate --strategy least_conn,strategies.least_loaded:LeastLoaded`. `tried` are the backends that have
failed this request already; `exchange` is the request. What cannot take it (down, full, kept out) is not picked anyway.
"""


class LeastLoaded:
    def __init__(self, backends, clock, rng):
        self.backends, self.clock, self.rng = backends, clock, rng

    def pick(self, exchange, tried):
        able = [one for one in self.backends if one not in tried and one.eligible(self.clock.now)]
        if not able:
            return None
        least = min(one.inflight.total() / one.weight for one in able)
        return self.rng.choice([one for one in able if one.inflight.total() / one.weight == least])
