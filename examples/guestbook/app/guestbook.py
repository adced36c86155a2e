"""A guestbook: one page, entries in Redis. Speaks the Redis protocol itself; nothing to install."""

import html
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

DB = (os.environ.get("DB_HOST", "db"), 6379)
GREETING = os.environ.get("GREETING", "Hello")
ENTRY_MAX = 200


def read_reply(stream):
    line = stream.readline().rstrip(b"\r\n")
    kind, rest = line[:1], line[1:]
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [read_reply(stream) for _ in range(int(rest))]
    if kind == b"-":
        raise RuntimeError(rest.decode())
    return int(rest) if kind == b":" else rest


def redis(*words):
    """One command, one connection."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    request = b"*%d\r\n" % len(parts)
    for part in parts:
        request += b"$%d\r\n%s\r\n" % (len(part), part)
    with socket.create_connection(DB, timeout=3) as connection:
        connection.sendall(request)
        return read_reply(connection.makefile("rb"))


def page():
    entries = redis("LRANGE", "entries", "0", "99")
    items = "".join(f"<li>{html.escape(entry.decode(errors='replace'))}</li>" for entry in entries)
    return f"""<!doctype html><title>Guestbook</title>
<h1>{html.escape(GREETING)}</h1>
<p>{redis("INCR", "visits")} visits, {len(entries)} entries</p>
<form method="post"><input name="text" maxlength="{ENTRY_MAX}"><button>Sign</button></form>
<ul>{items}</ul>
"""


class Handler(BaseHTTPRequestHandler):
    def answer(self, code, text, **headers):
        body = text.encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, redis("PING").decode())
        else:
            self.answer(200, page())

    def do_POST(self):
        length = min(int(self.headers.get("Content-Length", 0)), 4096)
        form = parse_qs(self.rfile.read(length).decode(errors="replace"))
        text = form.get("text", [""])[0].strip()[:ENTRY_MAX]
        if text:
            redis("LPUSH", "entries", text)
        self.answer(303, "", Location="/")


if __name__ == "__main__":
    print("guestbook listens on port 8000", flush=True)
    ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
