"""What Kipoi's tools load: the model class, the data loader, and the bridge to kipoi-veff.

Nothing else imports Kipoi, which the rest of the package does not need.
"""

from enhancer_core.kipoi.dataloader import WindowDataset
from enhancer_core.kipoi.model import ProbabilityModel

__all__ = ["ProbabilityModel", "WindowDataset"]
