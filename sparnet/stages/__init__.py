"""One small module a stage: `python -m sparnet.stages.NAME`."""

import os

# Before torch loads its OpenMP: threads that wait busily steal the time of those they wait for
# as soon as there is more work than cores, and make a training many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
