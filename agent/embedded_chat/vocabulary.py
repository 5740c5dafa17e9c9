"""All words that the rules know: what is wanted, what is asked for, and what says nothing."""

from agent.embedded_chat.facets import FACETS
from agent.embedded_chat.words import ORDINALS

CLOSER = {"closer", "close", "zoom", "enlarge", "enlarged", "magnify", "magnified", "detail", "crop", "look"}
COMPARE = {"compare", "compared", "comparison", "beside", "versus", "vs"}
INSPECT = {"inspect", "reinspect", "re-inspect", "recheck", "analyse", "analyze", "rerun", "redo"}
AGAIN = {"again", "anew", "repeat"}
HELP = {"help", "commands", "usage"}

_FILLER_WORDS = """
a about according actually all also although am an and any anything are as asked at be because been before between
but by call called can come could did difference do does doing done each else ever every exactly explain few find
for found from further gave get give given go good got had has have he hello here hey hi his how however i if in
into is it its itself just kind know known last latest least let like list many may me mean means might mind more
most much my name need new next no not now of off ok okay on once one only onto or other our out over please quite
rather really right said say saying says see seen shall she should show shown since so some somebody someone
something still such sure take tell thank thanks that the their them then there these they thing things think this
those though three to too two under until up upon us very want wanted was we well went were what whatever when where
whether which while who whole whom whose why will with within without would yes yet you your
main biggest largest worst overall isn don doesn use used taken wasn
"""
FILLER = frozenset(_FILLER_WORDS.split())

KNOWN = (
    frozenset(word for facet in FACETS.values() for word in facet.words)
    | FILLER
    | CLOSER
    | COMPARE
    | INSPECT
    | AGAIN
    | HELP
    | frozenset(ORDINALS)
    | frozenset({"top", "upper", "bottom", "lower", "left", "right", "centre", "center", "middle", "percent"})
)
