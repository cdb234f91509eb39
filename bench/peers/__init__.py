"""The same echo and the same room on other libraries: `python -m bench.peers.NAME PORT [on|off] [asyncio]`.

`/echo` brings every message back. In `/room` the message `join` makes its sender a member and is answered by
`joined`, `leave` undoes that and is answered by `left`; any other message goes to all members as it came.
`on` is for permessage-deflate, without context takeover and for messages from 128 octets on, as ours has it.
A certificate, NAME.pem with its key, is for TLS.
"""
