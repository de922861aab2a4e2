"""Order quantizers by indicator and by attack, and say how far the two orders agree."""

from mis.ranking.agreement import agreement, kendall, partial
from mis.ranking.answer import Answer
from mis.ranking.protocol import Protocol
from mis.ranking.ranking import Ranking
from mis.ranking.releases import Release, Several
from mis.ranking.row import Row
from mis.ranking.run import ShardsMissing, rank
from mis.ranking.spec import RankingSpec

__all__ = [
    "Answer",
    "Protocol",
    "Ranking",
    "RankingSpec",
    "Release",
    "Row",
    "Several",
    "ShardsMissing",
    "agreement",
    "kendall",
    "partial",
    "rank",
]
