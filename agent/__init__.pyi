from .inspection import Inspector as Inspector
from .report import InspectionReport as InspectionReport
from .request import (
    Budget as Budget,
)
from .request import (
    InspectionRequest as InspectionRequest,
)
from .settings import Settings as Settings
