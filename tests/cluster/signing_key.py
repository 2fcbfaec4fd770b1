"""The key that signs checkpoints, written as RFC 8410 has it."""

import base64
from pathlib import Path

SEED = bytes(range(32))
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410, before the seed


def write_signing_key(folder: Path) -> Path:
    """A file that only its owner reads."""
    file = folder / "receipts.key"
    body = base64.b64encode(PKCS8 + SEED).decode()
    file.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    file.chmod(0o600)
    return file
