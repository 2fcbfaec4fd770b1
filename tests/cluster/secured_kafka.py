"""A broker with one listener for each way to get the security settings wrong, and the settings that are right."""

import subprocess
from pathlib import Path

from children import free_ports, scrap_folder
from servers import Kafka

PASSWORD = "secured-2b9e"
WAYS = ("sasl", "tls", "sasl_tls", "elsewhere")
# Nobody resolves it (RFC 6761).
NOWHERE = "kafka-internal.invalid"


def openssl(folder: Path, *words: str):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, cwd=folder)


def authority(folder: Path, name: str) -> Path:
    """A certificate authority: `name`.pem, and its key beside it."""
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    openssl(folder, *made, "-subj", f"/CN={name}")
    return folder / f"{name}.pem"


def signed(folder: Path, name: str, by: str) -> Path:
    """A certificate for the name `localhost` only, with its key, in one PEM file as Kafka reads it."""
    made = ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr"]
    openssl(folder, *made, "-subj", f"/CN={name}")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signature = ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "30", "-extfile", "names"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signature)
    openssl(folder, "pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.key", "-out", f"{name}.p8")
    parts = [folder / f"{name}.p8", folder / f"{name}.crt", folder / f"{by}.pem"]
    (folder / f"{name}.pem").write_text("".join(part.read_text() for part in parts))
    return folder / f"{name}.pem"


class SecuredKafka(Kafka):
    """Its clients reach it by the name `localhost`. `at["elsewhere"]` advertises a name that leads nowhere.

    `hourseal` may do everything. `guest` and `worker` have the rights that a test gives them; `worker` comes by SCRAM."""

    FORMAT = ("--add-scram", f"SCRAM-SHA-512=[name=worker,password={PASSWORD}]")

    def configure(self):
        self.files = scrap_folder("hourseal-tls-")
        self.ca, self.other_ca = authority(self.files, "ca"), authority(self.files, "other")
        self.server, self.client = signed(self.files, "server", "ca"), signed(self.files, "client", "ca")
        self.password, self.wrong_password = self.files / "password", self.files / "wrong"
        self.password.write_text(PASSWORD + "\n")
        self.wrong_password.write_text("wrong-5f3a\n")
        self.keystore = self.files / "client.p12"
        words = ["pkcs12", "-export", "-in", "client.crt", "-inkey", "client.key", "-out", "client.p12"]
        openssl(self.files, *words, "-passout", "file:password")
        super().configure()

    def _properties(self, node):
        properties = super()._properties(node)
        self._port = dict(zip(WAYS, free_ports(len(WAYS))))
        self.at = {way: f"localhost:{port}" for way, port in self._port.items()}
        plain = properties["listeners"]
        own = ",".join(f"{way.upper()}://127.0.0.1:{port}" for way, port in self._port.items())
        names = {way: NOWHERE if way == "elsewhere" else "localhost" for way in WAYS}
        advertised = ",".join(f"{way.upper()}://{names[way]}:{port}" for way, port in self._port.items())
        properties["listeners"] = f"{plain},{own}"
        properties["advertised.listeners"] = f"{plain.split(',')[0]},{advertised}"
        kinds = {"sasl": "SASL_PLAINTEXT", "tls": "SSL", "sasl_tls": "SASL_SSL", "elsewhere": "PLAINTEXT"}
        protocols = ",".join(f"{way.upper()}:{kind}" for way, kind in kinds.items())
        properties["listener.security.protocol.map"] = f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}"
        properties["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-512"
        properties["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        properties["super.users"] = "User:ANONYMOUS;User:hourseal;User:CN=client"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in ("hourseal", "guest"))
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        for way in ("sasl", "sasl_tls"):
            properties[f"listener.name.{way}.plain.sasl.jaas.config"] = f"{module} required {users};"
            properties[f"listener.name.{way}.scram-sha-512.sasl.jaas.config"] = scram
        properties["ssl.keystore.type"] = properties["ssl.truststore.type"] = "PEM"
        properties["ssl.keystore.location"], properties["ssl.truststore.location"] = self.server, self.ca
        properties["listener.name.tls.ssl.client.auth"] = "required"
        return properties

    def reached_by(self, way: str, **changes) -> dict:
        """What is right for this listener, with changes to its librdkafka settings. `None` removes one. `at` and `password`
        replace the address and the password's file."""
        sasl = {"sasl.mechanism": "PLAIN", "sasl.username": "hourseal"}
        ca = {"ssl.ca.location": str(self.ca)}
        # The last part of a PEM file with a key is a certificate chain.
        certificate = {"ssl.certificate.location": str(self.client), "ssl.key.location": str(self.client)}
        client = {
            "sasl": {"security.protocol": "sasl_plaintext", **sasl},
            "tls": {"security.protocol": "ssl", **ca, **certificate},
            "sasl_tls": {"security.protocol": "sasl_ssl", **ca, **sasl},
            "elsewhere": {},
            "plain": {},
        }[way]
        at = changes.pop("at", None) or (self.bootstrap if way == "plain" else self.at[way])
        password = changes.pop("password", self.password)
        client = {key: value for key, value in {**client, **changes}.items() if value is not None}
        needs_password = client.get("security.protocol", "").startswith("sasl")
        file = {"sasl_password_file": str(password)} if needs_password else {}
        return {"kafka": {"bootstrap": at, "client": client, **file}}
