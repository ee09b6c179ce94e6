"""`python -m linkspan.daemon`."""

import sys

from linkspan.daemon import main

sys.exit(main())
