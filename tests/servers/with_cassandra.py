"""Runs a command against a fresh cluster: with_cassandra.py NODES [defaults] [steady] [SETTING=VALUE..] -- COMMAND ARGS...

The command finds the contact points in HOURSEAL_TEST_CQL. Settings go into cassandra.yaml; `defaults` stands for what
Cassandra 5 does when nobody configures it: Paxos v1, and no TTL beyond 2038 (then HOURSEAL_TEST_CQL_ENDS says so).
`steady` is for figures: all of Java's compilers and a heap of 2 GiB.

Thousands of histories empty their tables thousands of times. _JAVA_OPTIONS="-Xmx4g -Dcassandra.unsafesystem=true" has nothing
flushed at each time. After an hour and 4,900 of them on one cluster of three a read had no answer in time; why is not known.
"""

import os
import subprocess
import sys

from servers import Cassandra

DEFAULTS = {"paxos_variant": "v1", "storage_compatibility_mode": "CASSANDRA_4"}

nodes, *words = sys.argv[1 : sys.argv.index("--")]
command = sys.argv[sys.argv.index("--") + 1 :]
settings = {"auto_snapshot": "false"}
for word in words:
    if word == "defaults":
        settings |= DEFAULTS
    elif word != "steady":
        settings |= dict([word.split("=", 1)])
with Cassandra(int(nodes), settings=settings, steady="steady" in words) as cassandra:
    environment = {**os.environ, "HOURSEAL_TEST_CQL": ",".join(cassandra.contact_points)}
    if "defaults" in words:
        environment["HOURSEAL_TEST_CQL_ENDS"] = "2038"
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)
