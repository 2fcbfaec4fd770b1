"""What the tests ask a CQL server, through Apache's Python driver: statements at QUORUM, and who may not do what."""

import logging
import time
from contextlib import suppress

from cassandra import (
    ConsistencyLevel,
    OperationTimedOut,
    ReadFailure,
    ReadTimeout,
    Unavailable,
    WriteFailure,
    WriteTimeout,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, FallthroughRetryPolicy, WhiteListRoundRobinPolicy
from cassandra.query import SimpleStatement, tuple_factory
from children import wait_until
from servers import Cassandra

logging.getLogger("cassandra").setLevel(logging.CRITICAL)

TRANSIENT = (NoHostAvailable, OperationTimedOut, ReadFailure, ReadTimeout, Unavailable, WriteFailure, WriteTimeout)


class Cql:
    """A session of its own; `with Cql(cassandra) as cql: cql("SELECT ..")`."""

    def __init__(self, cassandra: Cassandra, user: tuple[str, str] | None = None, keyspace: str | None = None):
        addresses = list(cassandra.addresses.values())
        profile = ExecutionProfile(
            load_balancing_policy=WhiteListRoundRobinPolicy(addresses),
            retry_policy=FallthroughRetryPolicy(),
            consistency_level=ConsistencyLevel.QUORUM,
            request_timeout=20,
            row_factory=tuple_factory,
        )
        user = user or cassandra.user
        self._cluster = Cluster(
            contact_points=addresses,
            port=cassandra.port,
            auth_provider=PlainTextAuthProvider(*user) if user else None,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(0.3, max_attempts=None),
            protocol_version=5,
            schema_metadata_enabled=False,
            token_metadata_enabled=False,
        )
        try:
            self._session = self._cluster.connect(keyspace)
        except BaseException:
            self._cluster.shutdown()
            raise

    def __enter__(self) -> "Cql":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._cluster.shutdown()

    def __call__(self, statement: str, values: tuple | None = None, level: int | None = None) -> list[tuple]:
        """Executes once, and returns the rows of all pages."""
        prepared = SimpleStatement(statement, consistency_level=level, fetch_size=5_000)
        return list(self._session.execute(prepared, values))

    def patiently(self, statement: str, values: tuple | None = None, seconds: float = 60) -> list[tuple]:
        """As above, again until it succeeds: for what may be executed twice, while nodes come and go."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(*TRANSIENT):
                return self(statement, values)
            time.sleep(0.2)  # between two attempts
        return self(statement, values)


def await_whole(cassandra: Cassandra, seconds: float = 90):
    """Until each of three replicas answers, whoever is asked: peers learn late that a node is up."""
    table = "SELECT keyspace_name FROM system_distributed.view_build_status"

    def answers() -> bool:
        with suppress(*TRANSIENT):
            for _ in cassandra.nodes:
                cql(table, level=ConsistencyLevel.ALL)
            return True
        return False

    with Cql(cassandra) as cql:
        wait_until(answers, seconds, "every replica answers", every=0.3)
