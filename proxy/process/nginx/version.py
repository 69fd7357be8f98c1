"""What `-v`, `-V` and `-h` say: the nginx that frontgate stands in for, and what of its modules there is.

Rules: tools read these texts with regular expressions, so they are nginx's (ngx_show_version_info). Of the modules that
nginx builds only when asked to, those that we have are named; of those that it builds anyway, those that we have not.
Tools look for http_v2 and http_v3 by their names alone, so http_v2 is named where a library speaks it, and of http_v3
nothing is said, not even that it is missing.
"""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from typing import Final

import proxy

VERSION: Final = "1.31.5"  # of the nginx whose behaviour is followed

PRESENT: Final = (
    *("http_realip", "http_auth_request", "http_gunzip", "http_gzip_static", "http_secure_link"),
    *("http_stub_status", "http_ssl", "http_sub"),
)
ABSENT: Final = (
    *("fastcgi", "uwsgi", "scgi", "grpc", "memcached", "ssi", "userid", "empty_gif", "browser"),
    "tunnel",
)

USAGE: Final = """\
Usage: nginx [-?hvVtTq] [-s signal] [-p prefix]
             [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: /etc/nginx/)
  -e filename   : set error log file
  -c filename   : set configuration file (default: nginx.conf)
  -g directives : set global directives out of configuration file
"""


def version_line() -> str:
    """What -v says."""
    return f"nginx version: nginx/{VERSION} (frontgate {proxy.__version__})\n"


def configure_lines() -> str:
    """What -V says behind it."""
    present = PRESENT + (("http_v2",) if any(map(find_spec, ("ngh2", "jh2", "h2"))) else ())
    library = " ".join(ssl.OPENSSL_VERSION.split()[:2])
    arguments = [f"--with-{name}_module" for name in present] + [f"--without-http_{name}_module" for name in ABSENT]
    return f"built with {library}\nTLS SNI support enabled\nconfigure arguments: {' '.join(arguments)}\n"
