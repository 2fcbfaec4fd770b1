"""Runs a command against a fresh broker: with_kafka.py COMMAND ARGS..., where {} stands for HOST:PORT."""

import subprocess
import sys

from servers import Kafka

with Kafka() as kafka:
    command = [word.replace("{}", kafka.bootstrap) for word in sys.argv[1:]]
    sys.exit(subprocess.run(command, check=False).returncode)
