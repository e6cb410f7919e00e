"""Certificates for the trust tests, made anew for each run with the openssl command."""

import base64
import datetime
import hashlib
import os
import subprocess


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


CA_CONFIG = """
[ca]
default_ca = this
[this]
new_certs_dir = {folder}
database = {folder}/index
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
subjectAltName = {names}
{usage}
"""


class Authority:
    """A CA of its own with a key, `ca.pem`, and leaves signed by it."""

    def __init__(self, folder, name):
        self.folder = folder
        self.name = name
        os.makedirs(folder)
        self.pem = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=" + name, "-days", "30", "-keyout", self.key, "-out", self.pem)

    def leaf(self, name, names="DNS:localhost,IP:127.0.0.1", days=(-1, 30), usage=""):
        """Returns (certificate, key) valid from days[0] to days[1] from now."""
        base = os.path.join(self.folder, name)
        now = datetime.datetime.utcnow()
        start, end = ((now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days)
        with open(base + ".conf", "w", encoding="ascii") as file:
            file.write(CA_CONFIG.format(folder=self.folder, names=names, usage=usage))
        open(os.path.join(self.folder, "index"), "w", encoding="ascii").close()
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=" + name, "-keyout", base + ".key", "-out", base + ".csr")
        openssl("ca", "-batch", "-config", base + ".conf", "-extensions", "leaf", "-notext",
                "-startdate", start, "-enddate", end, "-cert", self.pem, "-keyfile", self.key,
                "-in", base + ".csr", "-out", base + ".pem")
        return base + ".pem", base + ".key"

    def self_signed(self, name):
        base = os.path.join(self.folder, name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=" + name, "-days", "30", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", base + ".key", "-out", base + ".pem")
        return base + ".pem", base + ".key"


def pin(certificate):
    """The SPKI pin of a PEM file, computed by the openssl command."""
    key = openssl("x509", "-in", certificate, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "der", data=key)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
