"""What a build of rfc6455 does with conversations drawn at random, a line each, to be held against another's.

`python -m tests.transcript` prints it. Whatever is drawn comes from seeds, and a line tells all that can be
seen from outside: events, octets to send, state, and errors with their type, code, rule, section and message.
Arguments keep to the annotated types, which the compiled build checks at its doors and the plain one doesn't.
"""
