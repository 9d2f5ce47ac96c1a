"""TLS on the gateway, with real clients: what is negotiated, and a certificate that changes under way."""

import os
import shutil
import signal
import ssl
import subprocess
import tempfile

from http_raw import Gate, Line, request
from pond import BIN, run, until


class Certificates:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="duckgate-tls-")
        self.certificate = os.path.join(self.folder, "certificate.pem")
        self.key = os.path.join(self.folder, "key.pem")
        self.flags = ("--tls-certificate-file", self.certificate, "--tls-key-file", self.key)

    def make(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.key + ".new", "-out", self.certificate + ".new"],
                       check=True, capture_output=True)
        os.chmod(self.key + ".new", 0o600)
        os.rename(self.key + ".new", self.key)
        os.rename(self.certificate + ".new", self.certificate)

    def __enter__(self):
        self.make("first")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


def shown(gate):
    """The name in the certificate that a new connection is shown."""
    text = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gate.port}"], input="",
                          capture_output=True, text=True, timeout=20).stdout
    return text.split("subject=CN = ")[1].split("\n")[0]


def curl(gate, path, *flags, body=""):
    done = subprocess.run(["curl", "-sS", f"https://localhost:{gate.port}{path}", *flags],
                          input=body, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout + done.stderr


def curl_is_served_by_tls_1_2_and_1_3_only():
    with Certificates() as files, Gate(*files.flags) as gate:
        assert open(gate.url_file).read().startswith("https://")
        trust = ("--cacert", files.certificate)
        for version in ("--tlsv1.2", "--tlsv1.3"):
            code, said = curl(gate, "/beak/", *trust, version)
            assert code == 0 and '"duckgate"' in said, said
        code, said = curl(gate, "/beak/", *trust, "--tlsv1.0", "--tls-max", "1.1", "--ciphers",
                          "DEFAULT:@SECLEVEL=0")
        assert code != 0, said
        assert curl(gate, "/beak/")[0] == 60, "a certificate that nobody signed is refused"
        body = '{"page":"' + "x" * 300000 + '"}'
        code, said = curl(gate, "/beak/pageview", *trust, "-H", "Content-Type: application/json",
                          "--data-binary", "@-", body=body)
        assert code == 0 and '"field":"page"' in said, said
        # Who speaks no TLS is not answered, and ended.
        line = gate.connect()
        line.send(request(b"GET", b"/beak/", gate.host))
        assert line.answer() is None
        line.close()


def a_renewed_certificate_is_shown_and_no_connection_falls():
    with Certificates() as files, Gate(*files.flags) as gate:
        context = ssl.create_default_context(cafile=files.certificate)
        line = Line(context.wrap_socket(gate.connect().socket, server_hostname="localhost"))

        def is_answered():
            line.send(request(b"GET", b"/healthz", gate.host))
            return line.answer().status == 200

        assert is_answered() and shown(gate) == "first"
        files.make("second")
        assert is_answered() and shown(gate) == "first"
        gate.process.send_signal(signal.SIGHUP)
        until("the new certificate", lambda: shown(gate) == "second", 5)
        assert is_answered(), "the connection of before goes on"
        with open(files.certificate, "w") as file:
            file.write("nonsense")
        gate.process.send_signal(signal.SIGHUP)
        until("the complaint", lambda: any("error tls:" in said for said in gate.log), 5)
        assert is_answered() and shown(gate) == "second", "what was good stays in force"
        line.close()


def what_is_no_certificate_is_named_before_anything_starts():
    def check(*flags):
        done = subprocess.run([os.path.join(BIN, "duckgate"), "--check-config", *flags],
                              capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout + done.stderr

    with Certificates() as files, Certificates() as others:
        assert check(*files.flags)[0] == 0
        code, said = check(*files.flags[:2])
        assert code == 2 and "go together" in said, said
        code, said = check(*files.flags[:2], *others.flags[2:])
        assert code == 2 and others.key in said, said
        code, said = check("--tls-certificate-file", files.key, *files.flags[2:])
        assert code == 2 and "no chain" in said, said
        os.chmod(files.key, 0o644)
        code, said = check(*files.flags)
        assert code == 2 and "everybody" in said, said
        os.unlink(files.key)
        assert check(*files.flags)[0] == 2


if __name__ == "__main__":
    run(curl_is_served_by_tls_1_2_and_1_3_only,
        a_renewed_certificate_is_shown_and_no_connection_falls,
        what_is_no_certificate_is_named_before_anything_starts)
