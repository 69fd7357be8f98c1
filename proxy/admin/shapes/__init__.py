"""What the JSON API answers and takes, as types: its answers are made of these, and so is its description (OpenAPI).

Rules: times are seconds since 1970, durations seconds, sizes bytes, rates per second; None stands for what is not
known or not configured. Names of fields are part of the contract with whoever reads the API: they stay.
"""

from __future__ import annotations

from proxy.admin.shapes.base import Shape as Shape
from proxy.admin.shapes.exchanges import Attempt as Attempt
from proxy.admin.shapes.exchanges import Brief as Brief
from proxy.admin.shapes.exchanges import Briefs as Briefs
from proxy.admin.shapes.exchanges import Candidate as Candidate
from proxy.admin.shapes.exchanges import Errors as Errors
from proxy.admin.shapes.exchanges import Explanation as Explanation
from proxy.admin.shapes.exchanges import Live as Live
from proxy.admin.shapes.exchanges import LiveExchanges as LiveExchanges
from proxy.admin.shapes.exchanges import Moment as Moment
from proxy.admin.shapes.exchanges import Pick as Pick
from proxy.admin.shapes.exchanges import Waited as Waited
from proxy.admin.shapes.host import App as App
from proxy.admin.shapes.host import Apps as Apps
from proxy.admin.shapes.host import AppWorker as AppWorker
from proxy.admin.shapes.host import Asked as Asked
from proxy.admin.shapes.host import Backend as Backend
from proxy.admin.shapes.host import Certificate as Certificate
from proxy.admin.shapes.host import Certificates as Certificates
from proxy.admin.shapes.host import Changed as Changed
from proxy.admin.shapes.host import Configuration as Configuration
from proxy.admin.shapes.host import Explaining as Explaining
from proxy.admin.shapes.host import History as History
from proxy.admin.shapes.host import Latency as Latency
from proxy.admin.shapes.host import Limit as Limit
from proxy.admin.shapes.host import LimitedKey as LimitedKey
from proxy.admin.shapes.host import Limits as Limits
from proxy.admin.shapes.host import Listener as Listener
from proxy.admin.shapes.host import Login as Login
from proxy.admin.shapes.host import Nothing as Nothing
from proxy.admin.shapes.host import Refusal as Refusal
from proxy.admin.shapes.host import Reloaded as Reloaded
from proxy.admin.shapes.host import Route as Route
from proxy.admin.shapes.host import Sample as Sample
from proxy.admin.shapes.host import Session as Session
from proxy.admin.shapes.host import Site as Site
from proxy.admin.shapes.host import Sites as Sites
from proxy.admin.shapes.host import State as State
from proxy.admin.shapes.host import Trouble as Trouble
from proxy.admin.shapes.host import Upstream as Upstream
from proxy.admin.shapes.host import Upstreams as Upstreams
from proxy.admin.shapes.host import Value as Value
from proxy.admin.shapes.host import Weight as Weight
from proxy.admin.shapes.host import Worker as Worker
from proxy.admin.shapes.host import Workers as Workers
