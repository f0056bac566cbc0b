# SPDX-License-Identifier: AGPL-3.0-only
"""What skip.h is, for tests in Python: a test that may not run here says what the host lacks, and fails under AUSPEX_REQUIRE_FULL=1."""

import os
import sys
import unittest

SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def required():
    return os.environ.get("AUSPEX_REQUIRE_FULL") == "1"


def end(what_is_missing):
    """Ends the program."""
    print(f"NOT RUN, this host lacks: {what_is_missing}")
    sys.exit(1 if required() else SKIPPED)


def unless(condition, what_is_missing):
    """A decorator of unittest's; where all is required the test runs, and fails by itself for want of it."""
    return unittest.skipUnless(condition or required(), f"NOT RUN, this host lacks: {what_is_missing}")
