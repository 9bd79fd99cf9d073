"""`python -m pytest_mecheval`, the same as the `mecheval` command."""

import sys

from pytest_mecheval.start import main

sys.exit(main())
