from .artifacts import ArtifactStore as ArtifactStore
from .assessment import (
    Answer as Answer,
)
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
from .assets import (
    read_file as read_file,
)
from .briefing import (
    CONDITIONS as CONDITIONS,
)
from .briefing import (
    CONDITIONS_VERSION as CONDITIONS_VERSION,
)
from .chosen_device import choose_device as choose_device
from .closer_look import PlaceSeen as PlaceSeen
from .closer_look import compare_place as compare_place
from .closer_look import see_place as see_place
from .decoding import (
    luma as luma,
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
    Judged as Judged,
)
from .evidence import (
    KnowledgeFound as KnowledgeFound,
)
from .evidence import (
    Localized as Localized,
)
from .evidence import (
    ModelCall as ModelCall,
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
from .fitted import (
    load_fitted as load_fitted,
)
from .fitted import (
    save_fitted as save_fitted,
)
from .geometry import (
    HeightMap as HeightMap,
)
from .geometry import (
    PointCloud as PointCloud,
)
from .geometry import (
    fit_height_map as fit_height_map,
)
from .geometry import (
    fit_point_clouds as fit_point_clouds,
)
from .geometry import (
    read_height_map as read_height_map,
)
from .geometry import (
    read_point_cloud as read_point_cloud,
)
from .geometry import (
    without_plane as without_plane,
)
from .instruments import (
    InspectionState as InspectionState,
)
from .instruments import (
    Instruments as Instruments,
)
from .intake import (
    ALL_MODALITIES as ALL_MODALITIES,
)
from .intake import (
    LoadedAsset as LoadedAsset,
)
from .intake import as_file as as_file
from .intake import asset_content as asset_content
from .intake import (
    load_asset as load_asset,
)
from .intake import (
    modality_of as modality_of,
)
from .learned import (
    LearnedProduct as LearnedProduct,
)
from .learned import (
    LearnedProducts as LearnedProducts,
)
from .learned_native import (
    LearnedNative as LearnedNative,
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
    ConformalCalibration as ConformalCalibration,
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
    adapt as adapt,
)
from .localization import (
    as_aligned as as_aligned,
)
from .localization import (
    blobs as blobs,
)
from .localization import (
    bring_picture_to_scale as bring_picture_to_scale,
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
    fit_zero_shot as fit_zero_shot,
)
from .localization import (
    heat_overlay as heat_overlay,
)
from .localization import (
    join_layers as join_layers,
)
from .localization import (
    load_backbone as load_backbone,
)
from .localization import (
    look_at as look_at,
)
from .localization import (
    noun_of as noun_of,
)
from .localization import (
    parse_looks as parse_looks,
)
from .localization import (
    prepared as prepared,
)
from .localization import (
    see as see,
)
from .localization import (
    see_references as see_references,
)
from .localization import (
    tell_alignment as tell_alignment,
)
from .localization import (
    usable_device as usable_device,
)
from .localization import (
    without_each as without_each,
)
from .localization.anomaly_map import (
    to_view as to_view,
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
from .modalities import (
    kit_of as kit_of,
)
from .motion import (
    STRETCH as STRETCH,
)
from .motion import (
    Video as Video,
)
from .motion import (
    VideoLocalizer as VideoLocalizer,
)
from .motion import (
    fit_video as fit_video,
)
from .motion import (
    intervals_of as intervals_of,
)
from .motion import is_frame_folder as is_frame_folder
from .motion import (
    provisional_threshold as provisional_threshold,
)
from .motion import (
    read_video as read_video,
)
from .motion import (
    stretches as stretches,
)
from .native import (
    shown_members as shown_members,
)
from .native_instruments import (
    NativeInstruments as NativeInstruments,
)
from .native_instruments import (
    NativeRecheck as NativeRecheck,
)
from .panels import (
    Panel as Panel,
)
from .prompts import (
    BRIEFING_TITLE as BRIEFING_TITLE,
)
from .prompts import (
    REASONER_PROMPT_VERSION as REASONER_PROMPT_VERSION,
)
from .reasoning import (
    Member as Member,
)
from .reasoning import (
    NoAnswer as NoAnswer,
)
from .reasoning import (
    Reply as Reply,
)
from .reasoning import (
    Role as Role,
)
from .reasoning import (
    ask as ask,
)
from .reasoning import (
    briefing_text as briefing_text,
)
from .reasoning import (
    in_turn as in_turn,
)
from .rendering import import_open3d as import_open3d
from .rendering.point_cloud import render_point_cloud as render_point_cloud
from .rendering.time_series import Range as Range
from .rendering.time_series import columns_of as columns_of
from .rendering.time_series import draw_band as draw_band
from .signals import (
    Recording as Recording,
)
from .signals import (
    RecordingLocalizer as RecordingLocalizer,
)
from .signals import (
    fit_recording as fit_recording,
)
from .signals import (
    read_recording as read_recording,
)
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
