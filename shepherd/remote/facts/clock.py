"""The time, as this host sees it, and its load."""

import os
import time


def date_time(_):
    now = time.time()
    local, utc = time.localtime(now), time.gmtime(now)
    micro = "%06d" % (int(now * 1000000) % 1000000)

    def shown(form, when=local):
        return time.strftime(form, when)

    names = {
        "year": "%Y",
        "month": "%m",
        "day": "%d",
        "weekday": "%A",
        "weekday_number": "%w",
        "weeknumber": "%W",
        "hour": "%H",
        "minute": "%M",
        "second": "%S",
        "date": "%Y-%m-%d",
        "time": "%H:%M:%S",
        "iso8601_basic_short": "%Y%m%dT%H%M%S",
        "tz": "%Z",
        "tz_offset": "%z",
    }
    facts = {name: shown(form) for name, form in names.items()}
    facts.update(
        epoch=str(int(now)),
        epoch_int=str(int(now)),
        iso8601=shown("%Y-%m-%dT%H:%M:%SZ", utc),
        iso8601_micro=shown("%Y-%m-%dT%H:%M:%S.", utc) + micro + "Z",
        iso8601_basic=shown("%Y%m%dT%H%M%S") + micro,
        tz_dst=time.tzname[1],
    )
    return {"date_time": facts}


def load(_):
    try:
        one, five, fifteen = os.getloadavg()
    except OSError:
        return {}
    return {"loadavg": {"1m": one, "5m": five, "15m": fifteen}}
