"""What Kipoi's tools load: the model class, the data loader, and the bridge to kipoi-veff.

Nothing else imports Kipoi, which the rest of the package does not need.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
