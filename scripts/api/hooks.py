"""What schemathesis must know of the API beside its description: see scripts/check-api.

Left out, since OpenAPI has no form for them: ranges that no question may have (`from` after `to`, over 366 days, days
that the calendar does not have). They are refused with 400 and 422, and the gateway's own tests cover them.
"""
import datetime

import msgpack
import schemathesis

LAST_DAY = datetime.date(2026, 3, 7)
MAX_DAYS = 366


@schemathesis.deserializer("application/msgpack")
def message_pack(context, response):
    """So that MessagePack is checked against the schema, too."""
    return msgpack.unpackb(response.content)


@schemathesis.hook
def filter_case(context, case):
    """Whether a case that is to be accepted is a question that may be asked."""
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return True
    query = case.query or {}
    try:
        start, end = (datetime.date.fromisoformat(query[name]) if name in query else None for name in ("from", "to"))
    except (TypeError, ValueError):
        return False
    # Without `to` it is the last day with data, or `from` itself where that is later.
    return start is None or 0 <= ((end or LAST_DAY) - start).days < MAX_DAYS
