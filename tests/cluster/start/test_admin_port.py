"""The admin port answers from the first moment, says why a start takes its time, and `hourseal ready` asks it."""

import json
import socket
import sqlite3
import threading

from children import free_ports, wait_until
from world import BRISK


def test_a_slow_start_is_alive_and_says_what_it_waits_for(kafka, make_world):
    """Another process has locked the key store, and lets go of it later."""
    world = make_world(kafka, settings=BRISK)
    world.worker().stop()
    holder = sqlite3.connect(world.store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    worker = world.worker(ready=False)
    wait_until(lambda: "locked" in worker.get("/readyz")[1], 20, "the reason is named", alive=worker)
    assert worker.get("/livez") == (200, "ok\n")
    for path in ["/readyz", "/startupz"]:
        status, body = worker.get(path)
        assert status == 503 and json.loads(body)["reasons"][0]["condition"] == "start", body
    said = world.cli("ready", "--url", f"http://127.0.0.1:{worker.admin_port}", bare=True, code=69, errors=True)
    assert said.startswith("error: not ready: start: the key store is unavailable: ") and "locked" in said
    holder.execute("ROLLBACK")
    holder.close()
    worker.await_ready()
    assert worker.get("/startupz") == (200, "started\n")
    worker.stop()


def test_connections_that_send_nothing_keep_nobody_from_an_answer(kafka, make_world):
    """A peer opens them as fast as it can, and opens a new one for each that is closed."""
    world = make_world(kafka, settings=BRISK)
    worker = world.worker()
    open_ones, stop = [], threading.Event()

    def flood():
        while not stop.is_set():
            half = socket.create_connection(("127.0.0.1", worker.admin_port), timeout=5)
            half.sendall(b"GET /livez HTTP/1.1\r\n")
            open_ones.append(half)
            if len(open_ones) > 128:
                open_ones.pop(0).close()
            stop.wait(0.002)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    wait_until(lambda: len(open_ones) >= 128, 20, "the port is full", alive=worker)
    assert [worker.get("/livez") for _ in range(9)] == [(200, "ok\n")] * 9
    stop.set()
    thread.join(10)
    for half in open_ones:
        half.close()
    worker.stop()


def test_ready_answers_for_a_process_by_its_settings_and_its_url(kafka, make_world):
    world = make_world(kafka, settings=BRISK)
    worker = world.worker()
    here = {"admin": {"listen": f"0.0.0.0:{worker.admin_port}"}}
    assert world.cli("ready", settings=here) == "ready\n"
    assert json.loads(world.cli("ready", "--json", settings=here))["ready"] is True
    url = f"http://127.0.0.1:{worker.admin_port}/readyz"
    assert world.cli("ready", "--url", url, bare=True) == "ready\n"
    worker.stop()
    said = world.cli("ready", "--url", url, bare=True, code=69, errors=True)
    assert "no answer from" in said and "refused" in said


def test_an_answer_of_another_program_is_not_ready(kafka, make_world):
    """The control: a port that answers 200 to everything."""
    world, port = make_world(kafka), free_ports(1)[0]
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=always_ok, args=(server,), daemon=True).start()
        said = world.cli("ready", "--url", f"http://127.0.0.1:{port}", bare=True, code=69, errors=True)
    assert "not as the admin port of hourseal" in said and "\x1b" not in said


def always_ok(server: socket.socket):
    client, _ = server.accept()
    with client:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n\x1b[31mok")
