"""Settings that must be made before anything is imported."""

import tests.gpu  # noqa: F401  # whether Triton interprets
