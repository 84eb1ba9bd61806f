from .dataloader import WindowDataset as WindowDataset
from .model import ProbabilityModel as ProbabilityModel
