"""Names for containers that were given none: an adjective and a ship or a context word."""

ADJECTIVES = (
    "able amber brave brisk calm clear crisp deft eager early even fair fleet fresh gentle glad golden grand "
    "hardy honest jolly keen kind level light lively loyal lucky merry mild neat nimble noble patient placid "
    "plain proud quick quiet ready serene sharp silent silver smart sound spry steady still stout sunny swift "
    "tidy true trusty vivid warm wise"
).split()
NOUNS = (
    "anchor barge beacon berth boom bow bridge buoy cape cargo channel clipper coast compass cove crane current "
    "cutter deck dinghy dock ferry fjord frigate gale galley gangway context haven hawser helm hull island jetty "
    "keel ketch lagoon lantern ledger lock mast moorage pier pilot port quay rigging rudder sail schooner sextant "
    "shoal skiff sloop sound span strait tide tiller trawler tug voyage wharf"
).split()


def name_of(id: str) -> str:
    """The name that the random digits of an id stand for."""
    number = int(id[:12], 16)
    return f"{ADJECTIVES[number % len(ADJECTIVES)]}_{NOUNS[number // len(ADJECTIVES) % len(NOUNS)]}"
