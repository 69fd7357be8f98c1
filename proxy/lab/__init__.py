"""The laboratory: the policies of production under simulated load.

from proxy.lab import Scenario, compare
outcomes = compare(Scenario(strategies="round_robin,least_conn", backends=4, load=0.8))
outcomes["least_conn"].latency.p99
"""

from proxy.lab.scenario import Event, Machine, Scenario
from proxy.lab.simulate import compare, simulate

__all__ = ["Event", "Machine", "Scenario", "compare", "simulate"]
