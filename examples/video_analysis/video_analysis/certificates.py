"""Certificates for a Redis behind TLS: an authority of one's own and a certificate for one name.

    python -m video_analysis.certificates --authority /tls --server /server --name redis

The certificate of the authority (`ca.crt`) goes to both folders, that of the server with its key to the second. The key
of the authority is kept nowhere. What is valid for a month still stays as it is, so this can run at every start.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = dt.timedelta(days=825)
LEFT = dt.timedelta(days=30)


def make(authority: Path, server: Path, name: str, owner: int | None = None) -> bool:
    """Write `ca.crt` to both folders, NAME.crt and NAME.key to `server`. False when good ones are there.

    `owner`: id of the user that the server runs as, if it is another one.
    """
    certificate, key = server / f"{name}.crt", server / f"{name}.key"
    if key.exists() and (authority / "ca.crt").exists() and _is_good(certificate):
        return False
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(f"authority of {name}", ca_key, None, ca_key)
    made = _certificate(name, server_key, ca, ca_key)
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for folder in (authority, server):
        _write(folder / "ca.crt", ca.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(key, private, 0o600, owner)
    _write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)
    return True


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, signed_by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """A certificate for the host `name`; for an authority without `issuer`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), critical=False)
        .add_extension(_usage(issuer is None), critical=True)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName("localhost")])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signed_by, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_good(file: Path) -> bool:
    if not file.exists():
        return False
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc > dt.datetime.now(dt.UTC) + LEFT


def _write(file: Path, content: bytes, mode: int, owner: int | None = None) -> None:
    """Write `file` so that nobody ever sees a part of it, or with other rights."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as written:
        written.write(content)
    if owner is not None:
        os.chown(draft, owner, owner)
    draft.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--authority", type=Path, required=True, help="folder that clients read")
    parser.add_argument("--server", type=Path, required=True, help="folder that the server reads")
    parser.add_argument("--name", required=True, help="host name of the server")
    parser.add_argument("--owner", type=int, help="id of the user that the server runs as")
    asked = parser.parse_args()
    made = make(asked.authority, asked.server, asked.name, asked.owner)
    print("Made new certificates." if made else "The certificates are good.")


if __name__ == "__main__":
    main()
