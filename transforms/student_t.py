"""Student's t distribution, as far as the metrics need it: the bounds of two-sided 95 % intervals."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# The t with P(-t <= T <= t) = 0.95 for 1 to 30 degrees of freedom: roots of the regularised incomplete beta function
# I(v / (v + t^2); v / 2, 1 / 2) = 0.05, found with 60 digits.
_UP_TO_30 = (
    12.7062047361747046, 4.30265272974946385, 3.18244630528370959, 2.77644510519779436, 2.57058183563631551,
    2.44691185114496997, 2.36462425159278534, 2.30600413520416668, 2.26215716279820554, 2.22813885198627475,
    2.20098516009163987, 2.17881282966722887, 2.1603686564627925, 2.14478668791780383, 2.13144954555977568,
    2.11990529922125467, 2.10981557783331709, 2.10092204024103849, 2.09302405440830977, 2.08596344726586484,
    2.0796138447276804, 2.07387306790402617, 2.06865761041904865, 2.06389856162802585, 2.05953855275329775,
    2.05552943864287321, 2.05183051648028556, 2.04840714179524516, 2.0452296421327043, 2.04227245630123831,
)  # fmt: skip

# Above 30 the expansion in powers of 1 / v (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5) at
# z = 1.96…: the book has the first four powers, the last two are from its fit to 60-digit roots. Off by at most 3e-12.
_IN_POWERS = (
    1.9599639845400542, 2.3722712302985628, 2.8224986157396118, 2.5558496795077233, 1.5895340533938235,
    0.7328982119816057, 0.6274804609510736,
)  # fmt: skip


def student_t_95(degrees: Column) -> Column:
    """The t that, with -t, bounds 95 % of Student's distribution; null below one degree of freedom."""
    expansion = F.lit(0.0)
    for coefficient in reversed(_IN_POWERS):
        expansion = expansion / degrees + coefficient
    listed = F.get(F.array(*[F.lit(t) for t in _UP_TO_30]), degrees.cast("int") - 1)
    return F.when(degrees < 1, F.lit(None)).when(degrees <= len(_UP_TO_30), listed).otherwise(expansion)
