"""The server: rooms, broadcast and presence over the protocol of `rfc6455`, on asyncio."""
