"""Every documented code is looked for in a test, or a place is named where a test makes a process log it."""

import re
import subprocess

from logs import documented
from world import ROOT

# Codes that no test of a process looks for: where the line's reason is tested, and what it is.
CLUSTER = "tests/cluster"
EXCUSES = {
    "HS1005": (f"{CLUSTER}/seal/test_broker_away_at_the_end.py", "a second signal while a broker is away"),
    "HS1007": ("src/app/watchdog.rs", "a call that does not return: only a faulty client hangs"),
    "HS1009": (f"{CLUSTER}/storage/test_cql_outages.py", "nodes whose clocks are apart"),
    "HS1104": ("src/edge/kafka/admin/brokers.rs", "a broker of a version that does not report the setting"),
    "HS1205": (f"{CLUSTER}/alerts/faults.py", "a broker that refuses records"),
    "HS1303": (f"{CLUSTER}/seal/test_outages.py", "a store that is away"),
    "HS1304": (f"{CLUSTER}/seal/test_outages.py", "a store that is back"),
    "HS1308": (f"{CLUSTER}/seal/test_outages.py", "the same broker, which continues"),
    "HS1310": ("tests/it/premint.rs", "a store that is away before the hour begins"),
    "HS1311": (f"{CLUSTER}/alerts/faults.py", "an hour that nobody has forgotten for a week"),
    "HS1312": ("src/app/duty/failsafe.rs", "a store that is away at the hourly look"),
    "HS1316": ("tests/it/stores/sqlite.rs", "a store of version 1"),
    "HS1406": (f"{CLUSTER}/forget/test_failpoints.py", "an executor that gives way to another one"),
    "HS1410": (f"{CLUSTER}/forget/test_signatures.py", "a key that is revoked"),
    "HS1412": (f"{CLUSTER}/forget/test_head_of_line.py", "a row that is not usable"),
    "HS1414": ("src/app/duty/keks.rs", "a vault that does not destroy"),
    "HS1415": (f"{CLUSTER}/forget/test_retention.py", "keys that do not open"),
    "HS1419": (f"{CLUSTER}/alerts/faults.py", "a hold on the canary"),
    "HS1420": (f"{CLUSTER}/forget/test_canary.py", "a canary whose events are not sealed"),
    "HS1422": ("src/app/duty/reclaim.rs", "a broker that refuses to delete"),
    "HS1423": ("src/forget/tests/following.rs", "a record that is not a receipt"),
    "HS1429": (f"{CLUSTER}/alerts/faults.py", "a row that is not usable"),
    "HS1452": (f"{CLUSTER}/receipts/test_receipt_log.py", "only at `log.level = debug`"),
    "HS1454": (f"{CLUSTER}/receipts/test_receipt_log.py", "a broker that does not answer"),
    "HS2003": (f"{CLUSTER}/seal/test_outages.py", "only at `log.level = debug`"),
    "HS2006": ("src/telemetry/log.rs", "no other library logs above `trace` today"),
}


def cited() -> set[str]:
    """The codes in the sources of the tests."""
    listed = subprocess.run(["git", "ls-files", "tests"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split() if name.endswith((".py", ".rs")) and not name.endswith("test_logs.py")]
    return {code for file in files for code in re.findall(r"HS\d{4}", file.read_text())}


def test_every_documented_code_is_logged_in_a_test():
    known, found = set(documented()), cited()
    assert len(known) > 70
    assert sorted(known - found - EXCUSES.keys()) == []
    assert sorted(EXCUSES.keys() & found) == [], "a test looks for it: no excuse is needed"
    assert sorted(EXCUSES.keys() - known) == [], "an excuse for nothing"
    assert sorted(found - known) == [], "a test looks for a code that does not exist"


def test_the_places_of_the_excuses_exist():
    places = {place for place, _ in EXCUSES.values()}
    assert sorted(place for place in places if not (ROOT / place).exists()) == []
