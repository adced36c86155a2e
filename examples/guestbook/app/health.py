"""Exits with 0 when the application answers and reaches its database."""

import sys
from urllib.request import urlopen

with urlopen("http://127.0.0.1:8000/health", timeout=3) as answer:
    sys.exit(0 if answer.read() == b"PONG" else 1)
