"""The notebooks under test run in their short mode: every cell, but with few events and one epoch."""

import os

os.environ.setdefault("SPARSEPIX_SHORT", "1")
