"""The standard facets: those that every room of a relay has.

Pure.
"""

from relay.lead.keeper import LeadPolicy
from relay.room.facet import FacetKind
from relay.room.facets import boot_state, coherence, unheard
from relay.room.facets.lead import lead
from relay.room.facets.verdict_log import Verdicts, verdict_log


def standard(policy: LeadPolicy, verdicts: Verdicts | None = None) -> tuple[FacetKind, ...]:
    """Return the facets in the order in which they are called.

    policy: the relay's settings for leads. verdicts: gets every verdict, for an observer.
    """
    kinds = (boot_state.KIND, lead(policy), unheard.KIND, coherence.KIND)
    return kinds if verdicts is None else (*kinds, verdict_log(verdicts))
