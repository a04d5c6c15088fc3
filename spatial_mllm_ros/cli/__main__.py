"""Let `python -m spatial_mllm_ros.cli` do what `spatial-mllm` does."""

import sys

from spatial_mllm_ros.cli.main import main

sys.exit(main())
