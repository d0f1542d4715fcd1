"""Plain words that the questions are made of."""

from __future__ import annotations

NAMES = (
    "Ada Ben Cleo Dario Elena Farid Greta Hugo Ines Jonas Kemal Lena Milo Nora Oskar Petra Quinn Rosa Sami Tara"
).split()

KINDS = {
    "fruits": "apple banana cherry fig grape lemon mango nectarine orange peach pear plum".split(),
    "vegetables": "cabbage carrot cucumber eggplant leek onion potato radish turnip zucchini".split(),
    "animals": "bear cat cow dog duck frog goat horse lion owl rabbit snake tiger".split(),
    "musical instruments": "accordion clarinet drum flute guitar harp saxophone trumpet violin".split(),
    "pieces of furniture": "armchair bed bench bookcase chair couch desk dresser stool table".split(),
}

WORDS = (
    "amber anchor arrow basket beacon bridge candle canyon castle cedar clover copper dragon ember engine fabric "
    "falcon feather forest garden ginger glacier hammer harbor helmet island ivory jacket jungle kettle lantern "
    "lemon marble meadow mirror nectar needle ocean olive orbit paper pebble pillow planet quartz ribbon river "
    "saddle shadow silver tablet temple thunder tunnel umbrella valley velvet violet walnut window winter yellow zebra"
).split()
