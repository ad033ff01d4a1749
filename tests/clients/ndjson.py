"""Tells schemathesis how NDJSON is sent: lines, as they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return (value if isinstance(value, str) else str(value)).encode()
