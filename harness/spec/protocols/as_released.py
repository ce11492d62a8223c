"""The same task, each epoch chosen as the system's own released code chooses it.

What is watched on the validation split, how it is rounded, which of equals is kept, from which
epoch on and when training stops: all of it is the authors', as each system's card says with its
source. A system whose released code chooses by no rule, or by the test split, does not apply.
Everything else is that of ``in_domain``, beside which these rows are read; they never share a
table. ``selection_metric`` orders the rows and chooses nothing.
"""

import dataclasses

from harness.spec.protocols.in_domain import IN_DOMAIN

AS_RELEASED = dataclasses.replace(
    IN_DOMAIN,
    name="as_released",
    title="In-domain, official split, epochs chosen as released",
    selection="released",
)
