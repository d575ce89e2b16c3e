"""Builds what the benchmarks need into build/bench: the C parts, and a certificate."""

from __future__ import annotations

import subprocess

import trustme

from .players import BUILD, ROOT


def build() -> None:
    """Compile the server and the floor."""
    for command in (
        ["cmake", "-S", str(ROOT / "benchmarks" / "c"), "-B", str(BUILD / "c")],
        ["cmake", "--build", str(BUILD / "c")],
    ):
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def certify() -> None:
    """Make a CA, and a certificate for 127.0.0.1."""
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(BUILD / "ca.pem")
    certificate.private_key_pem.write_to_path(BUILD / "key.pem")
    (BUILD / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
