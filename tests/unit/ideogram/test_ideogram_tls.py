import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pressroom.ideogram.endpoint import Timeouts
from pressroom.ideogram.exchange import Exchange

HOST = "pictures.example.org"


@pytest.fixture
def contexts(tmp_path):
    """A server that can prove to be HOST, and a client that believes that certificate only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = tmp_path / "c.pem", tmp_path / "k.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=pem)


@pytest.mark.parametrize(("name", "trusted"), [(HOST, True), ("other.example.org", False)])
async def test_a_checked_address_is_dialled_and_the_name_still_proven(contexts, name, trusted):
    """Dialling the number that was checked does not weaken TLS: the certificate has to carry the picture's host."""
    server_side, client_side = contexts

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    exchange = Exchange(1, Timeouts(connect=2), transport=httpx2.AsyncHTTPTransport(verify=client_side))
    address = httpx2.URL(f"https://127.0.0.1:{port}/p.png")
    try:
        if trusted:
            async with exchange.opened(address, {"Host": HOST}, server_name=name) as response:
                assert await response.aread() == b"ok"
        else:
            with pytest.raises(httpx2.ConnectError):
                async with exchange.opened(address, {"Host": HOST}, server_name=name):
                    pass
    finally:
        await exchange.aclose()
        server.close()
