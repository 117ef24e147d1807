"""What the suites of packages share."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from stack import ROOT, Stack, answers, await_, free_address, instance, known  # noqa: E402, F401

DEPLOY = ROOT / "deploy"
