from .dataloader import WindowDataset as WindowDataset
from .model import ProbabilityModel as ProbabilityModel
from .publishing import FACTS as FACTS
from .publishing import NOT_STATED as NOT_STATED
from .publishing import publish as publish
