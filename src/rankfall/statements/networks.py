"""The hypothesis of the talk on networks that are not factorizations: training keeps their mapping's rank low."""

from ..claims import Claim

NETWORK = "tanh network"


def hypothesis() -> list[Claim]:
    """Put the claims of the experiment ``mapping-rank`` to one start of the network that is none of tensors."""
    # Experiments are not for everyone who imports the package.
    from ..experiments import mapping_rank
    from ..experiments.base import read_settings

    usual = read_settings(mapping_rank.EXPERIMENT, full=False).model_dump()
    starts = {size: {NETWORK: usual[size][NETWORK]} for size in mapping_rank.STARTS}
    settings = mapping_rank.MappingRank(**(usual | starts | {"seeds": 1}))
    return mapping_rank.claims(mapping_rank.compute(settings, progress=False))
