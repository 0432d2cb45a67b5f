"""What the benchmarks of serving share: models, servers, and clients that load them."""

import os

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Before anything numeric is imported: threads that fight for few cores would measure the scheduler."""
os.environ.update(THREADS)
