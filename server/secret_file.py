"""Secret files: a word in the log about one that is everybody's to read."""

import logging
import os
import stat
from contextlib import suppress
from typing import Final

logger = logging.getLogger(__name__)

# Not the group's rights: a key is often meant for one.
_EVERYBODY: Final = stat.S_IROTH | stat.S_IWOTH


def warn_if_public(option: str, path: str) -> None:
    """Log that every user of the machine may read or change a file that an option names."""
    # It was read, but may be gone by now.
    with suppress(OSError):
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode) and mode & _EVERYBODY:
            logger.warning("%s: every user of this machine may read or change %s; chmod o= it", option, path)
