from .catalog import (
    SHIPPED_PRODUCTS as SHIPPED_PRODUCTS,
)
from .catalog import (
    Catalog as Catalog,
)
from .catalog import (
    read_product as read_product,
)
from .errors import (
    AnomalystError as AnomalystError,
)
from .errors import (
    AssetError as AssetError,
)
from .errors import (
    FittedPartError as FittedPartError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    ProductError as ProductError,
)
from .errors import (
    RequestError as RequestError,
)
from .errors import (
    StoreError as StoreError,
)
from .errors import (
    ToolArgumentError as ToolArgumentError,
)
from .errors import (
    ToolFailure as ToolFailure,
)
from .files import require_writable as require_writable
from .files import write_atomically as write_atomically
from .part_names import PartName as PartName
from .part_names import named_part as named_part
from .part_names import parse_part_name as parse_part_name
from .references import (
    Match as Match,
)
from .references import (
    ReferenceIndex as ReferenceIndex,
)
from .rules import (
    Measurements as Measurements,
)
from .rules import (
    RuleOutcome as RuleOutcome,
)
from .rules import (
    RuleResult as RuleResult,
)
from .rules import (
    check_rule as check_rule,
)
from .rules import (
    name_defect as name_defect,
)
from .rules import (
    question_for as question_for,
)
from .rules import (
    rules_for as rules_for,
)
from .rules import with_questions as with_questions
from .schema import (
    DefectType as DefectType,
)
from .schema import (
    Frozen as Frozen,
)
from .schema import (
    Modality as Modality,
)
from .schema import (
    NormalityRule as NormalityRule,
)
from .schema import (
    Product as Product,
)
from .schema import (
    Provenance as Provenance,
)
from .schema import (
    ReferenceImage as ReferenceImage,
)
from .schema import (
    Severity as Severity,
)
