"""Floor 3: order quantizers by indicator and by attack, and say how far the two orders agree."""

from mis.ranking.agreement import agreement, kendall, partial
from mis.ranking.run import Ranking, ShardsMissing, rank
from mis.ranking.spec import RankingSpec

__all__ = ["Ranking", "RankingSpec", "ShardsMissing", "agreement", "kendall", "partial", "rank"]
