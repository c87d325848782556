"""What schemathesis must know of the API beside its description: see scripts/check-api.

Left out of what must be accepted, since OpenAPI has no form for them: ranges that no question may have (`from` after
`to`, or over 366 days). They are refused with 400 and 422, and the gateway's own tests cover them.
"""
import datetime
import os
import zlib

import msgpack
import schemathesis

STORES = os.environ["CHECK_API_STORES"].split(",")
LAST_DAY = datetime.date.fromisoformat(os.environ["CHECK_API_LAST_DAY"])
MAX_DAYS = 366
# Days before the last data day that a diagnosis begins with, unless told.
DIAGNOSIS_DAYS = 29


@schemathesis.deserializer("application/msgpack")
def message_pack(context, response):
    """So that MessagePack is checked against the schema, too."""
    return msgpack.unpackb(response.content)


def is_to_be_accepted(case):
    return case.meta is None or case.meta.generation.mode.is_positive


@schemathesis.hook
def filter_case(context, case):
    """Whether a case that is to be accepted has a range that may be asked for."""
    if not is_to_be_accepted(case):
        return True
    refreshes = case.path == "/v1/refresh"
    values = case.body if refreshes else case.query
    values = values if isinstance(values, dict) else {}
    try:
        start, end = (datetime.date.fromisoformat(values[name]) if values.get(name) is not None else None
                      for name in ("from", "to"))
    except (TypeError, ValueError):
        return False
    if refreshes:
        return start is None or end is None or 0 <= (end - start).days < MAX_DAYS
    if start is None and end is not None and case.path == "/v1/diagnosis":
        start = min(end, LAST_DAY) - datetime.timedelta(days=DIAGNOSIS_DAYS)
    # Without `to` it is the last day with data, or `from` itself where that is later.
    return start is None or 0 <= ((end or max(LAST_DAY, start)) - start).days < MAX_DAYS


@schemathesis.hook
def map_case(context, case):
    """Most ids that are made up are none of a store: three of four become one, so that there is something to answer."""
    if not is_to_be_accepted(case):
        return case
    for values, name in ((case.path_parameters, "id"), (case.query, "stores"), (case.body, "stores")):
        if isinstance(values, dict) and name in values:
            ids = values[name]
            values[name] = [known(store) for store in ids] if isinstance(ids, list) else known(ids)
    return case


def known(store):
    """An id of a store for most texts, always the same for the same one."""
    if not isinstance(store, str) or store in STORES:
        return store
    number = zlib.crc32(store.encode(errors="surrogatepass"))
    return STORES[number // 4 % len(STORES)] if number % 4 else store
