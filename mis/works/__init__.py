"""Floor 3: published works done again, one file or folder each, run by ``mis run NAME`` or ``works.run``.

To add one: write ``NAME.py`` (or a folder, once it is long) with ``settings(size, seed, folder)``, which returns a
frozen dataclass, and ``study(settings, store, progress)``, which returns a ``Study``; add a ``Work`` to ``WORKS``, and
a row of ``CASES`` in ``tests/works/test_works.py``. What takes long goes through the ``store``: it is read back when
an interrupted run goes on.
"""

from mis.works.base import SIZES, Study, Work, run
from mis.works.verdicts import CANNOT_BE_TOLD, FALLS, HOLDS, judged, verdict

__all__ = [
    "CANNOT_BE_TOLD",
    "FALLS",
    "HOLDS",
    "SIZES",
    "WORKS",
    "Study",
    "Work",
    "judged",
    "run",
    "verdict",
]

WORKS: dict[str, Work] = {
    "leakage": Work(
        place="mis.works.leakage.study",
        asks="Does quantizing a shared gradient keep the image behind it secret, also from an attacker who adapts?",
        work="Quaedvlieg, Menon, Bhadang: gradient quantization against deep leakage from gradients",
        takes={"quick": "1 to 2 minutes", "default": "about 20 minutes", "full": "hours"},
        needs="nothing; cifar-10 from --folder where tasks name it",
    ),
    "indicator": Work(
        place="mis.works.indicator",
        asks="Does r_Q order releases by what they leak, and does sign hide less than ternary with more bits?",
        work="Aubinais, Formont, Piantanida, Gassiat (arXiv:2502.06567): an indicator of membership inference security",
        takes={"quick": "2 to 3 minutes", "default": "about 20 minutes", "full": "hours"},
        needs="nothing",
    ),
    "kowalski": Work(
        place="mis.works.kowalski",
        asks="Do DoReFa networks leak less to membership inference, or do they only generalise better?",
        work="Kowalski, Famili, Lao: quantized networks against membership inference",
        takes={"quick": "a quarter of an hour or more", "default": "hours", "full": "days on a GPU"},
        needs="nothing; --full fashion-mnist-full, or cifar-10 from --folder",
    ),
    "sparsity": Work(
        place="mis.works.sparsity",
        asks="Does sparsity improve privacy, or only cost accuracy, which hides members by itself?",
        work="Gonon et al. (arXiv:2304.07234): sparsity and the privacy of neural networks",
        takes={"quick": "3 to 4 minutes", "default": "about 20 minutes", "full": "days, or a GPU"},
        needs="nothing",
    ),
    "compleak": Work(
        place="mis.works.compleak.study",
        asks="Do compressed releases of one network leak more together, with the original and without, than alone?",
        work="Li, Gao, Hu, Kuang, Fu: CompLeak (arXiv:2507.16872), pruned, clustered and int8 networks",
        takes={"quick": "about 3 minutes", "default": "about 10 minutes", "full": "days on a GPU"},
        needs="nothing; --full cifar-10 from --folder",
    ),
    "calibrated": Work(
        place="mis.works.calibrated",
        asks="Does quantizing after training to 1.58 bits protect members tenfold, also from an attacker who adapts?",
        work="Bits for Privacy (arXiv:2512.15335): AdaRound, BRECQ and OBC against LiRA",
        takes={"quick": "2 to 4 minutes", "default": "about 10 minutes", "full": "a day on a GPU"},
        needs="nothing; --full cifar-10 from --folder",
    ),
}
