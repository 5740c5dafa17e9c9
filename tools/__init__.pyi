from .artifacts import ArtifactStore as ArtifactStore
from .assessment import (
    Assessment as Assessment,
)
from .assessment import (
    ClaimDraft as ClaimDraft,
)
from .assessment import (
    FindingDraft as FindingDraft,
)
from .assessment import (
    RuleAnswer as RuleAnswer,
)
from .assets import (
    Asset as Asset,
)
from .assets import (
    Limits as Limits,
)
from .assets import (
    LoadedImage as LoadedImage,
)
from .assets import (
    Window as Window,
)
from .assets import (
    clean_name as clean_name,
)
from .assets import (
    decode_image as decode_image,
)
from .assets import (
    load_image as load_image,
)
from .evidence import (
    Assessed as Assessed,
)
from .evidence import (
    Compared as Compared,
)
from .evidence import (
    Evidence as Evidence,
)
from .evidence import (
    EvidenceLog as EvidenceLog,
)
from .evidence import (
    Examined as Examined,
)
from .evidence import (
    Failed as Failed,
)
from .evidence import (
    KnowledgeFound as KnowledgeFound,
)
from .evidence import (
    Localized as Localized,
)
from .evidence import (
    RegionMeasured as RegionMeasured,
)
from .evidence import (
    RuleChecked as RuleChecked,
)
from .evidence import (
    RulesChecked as RulesChecked,
)
from .evidence import (
    SimilarReference as SimilarReference,
)
from .evidence import (
    ViewsShown as ViewsShown,
)
from .instruments import (
    InspectionState as InspectionState,
)
from .instruments import (
    Instruments as Instruments,
)
from .learned import (
    LearnedProduct as LearnedProduct,
)
from .learned import (
    LearnedProducts as LearnedProducts,
)
from .learned import (
    window_of as window_of,
)
from .localization import (
    DEFAULT_BACKBONE as DEFAULT_BACKBONE,
)
from .localization import (
    AdaptationSettings as AdaptationSettings,
)
from .localization import (
    Adapted as Adapted,
)
from .localization import (
    Appearance as Appearance,
)
from .localization import (
    Backbone as Backbone,
)
from .localization import (
    Localization as Localization,
)
from .localization import (
    Localizer as Localizer,
)
from .localization import (
    LocalizerSettings as LocalizerSettings,
)
from .localization import (
    Nearest as Nearest,
)
from .localization import (
    Normal as Normal,
)
from .localization import (
    NormalProduct as NormalProduct,
)
from .localization import (
    Part as Part,
)
from .localization import (
    PatchMemory as PatchMemory,
)
from .localization import (
    Progress as Progress,
)
from .localization import (
    Seen as Seen,
)
from .localization import (
    Template as Template,
)
from .localization import (
    adapt as adapt,
)
from .localization import (
    blobs as blobs,
)
from .localization import (
    bring_to_scale as bring_to_scale,
)
from .localization import (
    fetch_weights as fetch_weights,
)
from .localization import (
    fit_localizer as fit_localizer,
)
from .localization import (
    heat_overlay as heat_overlay,
)
from .localization import (
    load_backbone as load_backbone,
)
from .localization import (
    look_at as look_at,
)
from .localization import (
    parse_looks as parse_looks,
)
from .localization import (
    see as see,
)
from .measuring import (
    Measurement as Measurement,
)
from .measuring import (
    as_values as as_values,
)
from .measuring import (
    measure_part as measure_part,
)
from .measuring import (
    measure_region as measure_region,
)
from .measuring import (
    pixel_size_of as pixel_size_of,
)
from .measuring import (
    side_of as side_of,
)
from .prompts import (
    BRIEFING_TITLE as BRIEFING_TITLE,
)
from .prompts import (
    REASONER_PROMPT_VERSION as REASONER_PROMPT_VERSION,
)
from .reasoning import (
    ModelUse as ModelUse,
)
from .reasoning import (
    NoAnswer as NoAnswer,
)
from .reasoning import (
    Panel as Panel,
)
from .reasoning import (
    Reply as Reply,
)
from .reasoning import (
    ask as ask,
)
from .reasoning import (
    briefing_text as briefing_text,
)
from .rendering import import_open3d as import_open3d
from .stages import (
    REGION_TOOLS as REGION_TOOLS,
)
from .stages import (
    STAGES as STAGES,
)
from .toolbox import (
    build_tools as build_tools,
)
from .toolbox import (
    describe_tool_error as describe_tool_error,
)
from .views import (
    Box as Box,
)
from .views import (
    Region as Region,
)
from .views import (
    RenderedView as RenderedView,
)
