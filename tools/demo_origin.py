#!/usr/bin/python3
"""The demo's own TLS origin: says which credential it saw, never the credential itself.

    demo_origin.py DIRECTORY HOST...

Makes a throw-away authority and a certificate for the hosts by the openssl command, serves HTTPS
on 127.10.0.1 and a free port, and writes DIRECTORY/ca.pem, then DIRECTORY/port. Standard library
only: the demo needs nothing but Debian's python3 and openssl.
"""
import http.server
import itertools
import json
import pathlib
import ssl
import subprocess
import sys
import time

ADDRESS = "127.10.0.1"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_certificates(directory, hosts):
    openssl(directory, "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=demo origin CA", "-addext", "keyUsage=critical,keyCertSign")
    openssl(directory, "req", *KEY, "-keyout", "origin.key", "-out", "origin.csr", "-subj",
            f"/CN={hosts[0]}")
    names = ",".join(f"DNS:{host}" for host in hosts)
    (directory / "origin.ext").write_text(f"subjectAltName={names}\n")
    openssl(directory, "x509", "-req", "-in", "origin.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "origin.ext", "-out", "origin.pem")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/v1/events":
            self.send_events()
            return
        key = self.headers.get("x-api-key") or ""
        places = ("authorization", "x-exeat-session", "proxy-authorization")
        answer = json.dumps({
            "path": self.path,
            "credential_seen": f"...{key[-7:]}" if key else "none",
            "session_token_seen": any(self.headers.get(name) for name in places)}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def send_events(self):
        """Never ends by itself."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for number in itertools.count():
                event = b"data: event %d\n\n" % number
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                time.sleep(0.02)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def main():
    directory, hosts = pathlib.Path(sys.argv[1]), sys.argv[2:]
    make_certificates(directory, hosts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "origin.pem", directory / "origin.key")
    server = http.server.ThreadingHTTPServer((ADDRESS, 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    fresh = directory / "port.new"
    fresh.write_text(str(server.server_address[1]))
    fresh.rename(directory / "port")
    server.serve_forever()


if __name__ == "__main__":
    main()
