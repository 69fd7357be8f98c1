"""The one place where parts meet: turns a Model into a Runtime."""

from proxy.build.place import Place
from proxy.build.runtime import Runtime, runtime, zone_sizes

__all__ = ["Place", "Runtime", "runtime", "zone_sizes"]
