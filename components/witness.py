"""What the two witnesses of a takeover say, and where they say it: names that programs outside of this one read too."""

from typing import Final

TAKEN_OVER: Final = "taken-over: yes"
NOT_TAKEN_OVER: Final = "taken-over: no"
WITNESS_PATH: Final = "/.well-known/dr/taken-over"
MARKER_KEY: Final = "taken-over"
