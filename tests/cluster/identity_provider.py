"""A mock of an identity provider: its token endpoint only, over TLS or in the clear. Its tokens are not signed, as the broker of
`token_kafka.py` takes them."""

import base64
import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

CLIENT, SECRET, SCOPE = "hourseal worker", "idp:secret/9c1e", "kafka"


def part(claims: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def unsigned_token(lives: float, scope: str = SCOPE) -> str:
    """A JWT with the algorithm `none`. A negative life has ended."""
    now = time.time()
    claims = {"sub": "hourseal", "scope": scope, "iat": round(now + min(lives, 0) - 1, 3), "exp": round(now + lives, 3)}
    return f"{part({'alg': 'none'})}.{part(claims)}."


class IdentityProvider:
    """`lives` is how many seconds the next token lives; `scope` is the one that it gets; `outage` is an answer in place of one."""

    def __init__(self, certificate: Path | None = None):
        self.lives, self.scope, self.outage = 3600.0, SCOPE, None
        self.issued: list[str] = []
        self.refused = 0
        provider = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                status, answer = provider.answer(self.path, self.headers["authorization"], form)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://localhost:{self.server.server_address[1]}/oauth2/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, login: str, form: dict) -> tuple[int, dict]:
        if self.outage:
            return self.outage
        # As a form has it (RFC 6749, section 2.3.1).
        known = base64.b64encode(b"hourseal%20worker:idp%3Asecret%2F9c1e").decode()
        if path != "/oauth2/token" or login != f"Basic {known}":
            self.refused += 1
            return 401, {"error": "invalid_client", "error_description": f"wrong: {login}"}
        assert form == {"grant_type": ["client_credentials"], "scope": [SCOPE]}, form
        self.issued.append(unsigned_token(self.lives, self.scope))
        return 200, {"access_token": self.issued[-1], "token_type": "Bearer", "expires_in": max(int(self.lives), 0)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
