"""The same echo and the same room on other libraries: `python -m bench.peers.NAME PORT`.

`/echo` brings every message back. In `/room` the message `join` makes its sender a member and is answered by
`joined`; any other message goes to all members as it came. Compression is off.
"""
