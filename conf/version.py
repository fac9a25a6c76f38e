"""The version that a build gets: the project's own, and the commit where CLASSWAVES_COMMIT names one.

Compute keeps a wheel that it has installed: two wheels of one version would be taken for the same.
"""

import os

VERSION = "0.1.0"


def version() -> str:
    """`0.1.0`, or `0.1.0+g1a2b3c4d5e6f` in a deployment."""
    commit = os.environ.get("CLASSWAVES_COMMIT")
    return f"{VERSION}+{commit}" if commit else VERSION
