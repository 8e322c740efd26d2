"""The algorithms, one file each."""

from .batch import DetectFolder
from .check import CheckInstallation
from .detect import DetectObjects
from .install import InstallEngine
from .remove import RemoveEngine

ALGORITHMS = (DetectObjects, DetectFolder, InstallEngine, RemoveEngine, CheckInstallation)
