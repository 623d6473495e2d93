"""The standard facets: the facets that every room of a relay has.

Pure.
"""

from relay.lead.keeper import LeadPolicy
from relay.room.facet import FacetKind
from relay.room.facets import coherence, live_states, not_heard, stock, unheard
from relay.room.facets.lead import lead
from relay.room.facets.verdict_log import Verdicts, verdict_log


def standard(policy: LeadPolicy, verdicts: Verdicts | None = None) -> tuple[FacetKind, ...]:
    """Return the kinds of the standard facets, in the order in which a room calls them.

    policy: the relay's settings for leads. verdicts: a list that gets every verdict, for an observer; None if
    there is no observer.
    """
    kinds = (live_states.KIND, lead(policy), unheard.KIND, not_heard.KIND, stock.KIND, coherence.KIND)
    return kinds if verdicts is None else (*kinds, verdict_log(verdicts))
