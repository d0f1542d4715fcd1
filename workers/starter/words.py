"""The words from which the questions are built."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    "Ada Ben Cleo Dario Elena Farid Greta Hugo Ines Jonas Kemal Lena Milo Nora Oskar Petra Quinn Rosa Sami Tara"
)

KINDS = {
    "fruits": _words("apple banana cherry fig grape lemon mango nectarine orange peach pear plum"),
    "vegetables": _words("cabbage carrot cucumber eggplant leek onion potato radish turnip zucchini"),
    "animals": _words("bear cat cow dog duck frog goat horse lion owl rabbit snake tiger"),
    "musical instruments": _words("accordion clarinet drum flute guitar harp saxophone trumpet violin"),
    "pieces of furniture": _words("armchair bed bench bookcase chair couch desk dresser stool table"),
}

WORDS = _words(
    "amber anchor arrow basket beacon bridge candle canyon castle cedar clover copper dragon ember engine fabric "
    "falcon feather forest garden ginger glacier hammer harbor helmet island ivory jacket jungle kettle lantern "
    "lemon marble meadow mirror nectar needle ocean olive orbit paper pebble pillow planet quartz ribbon river "
    "saddle shadow silver tablet temple thunder tunnel umbrella valley velvet violet walnut window winter yellow zebra"
)
