"""Floor 3: published works done again, one file or folder each, run by ``mis run NAME``.

To add one: write ``NAME.py`` with a frozen dataclass of settings, a function ``settings(size, seed, folder)`` and a
function ``run(settings, out, progress) -> Study``; add a ``Work`` to ``WORKS``. Its heavy imports wait in ``run``.
"""

from mis.works.base import SIZES, Study, Work, changed, load

__all__ = ["SIZES", "WORKS", "Study", "Work", "changed", "load"]

WORKS: dict[str, Work] = {
    "leakage": Work(
        place="mis.works.leakage.study",
        asks="Does quantizing a shared gradient keep the image behind it secret, also from an attacker who adapts?",
        work="Quaedvlieg, Menon, Bhadang: gradient quantization against deep leakage from gradients",
        takes={"quick": "1 to 2 minutes", "default": "10 to 20 minutes", "full": "hours"},
        needs="nothing; cifar-10 from --folder where tasks name it",
    ),
}
