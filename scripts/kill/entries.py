"""What lies in Redis (docs/wire-format.md), read with nothing but Python's own library."""
import gzip
import socket
import struct


GZIP, PLAIN_BODY, GZIP_BODY = 1, 2, 3


class Damaged(Exception):
    """An entry that no reader would take."""


class Redis:
    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")

    def __call__(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        self.stream.flush()
        return self.answer()

    def answer(self):
        line = self.stream.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        return [self.answer() for _ in range(int(rest))]

    def everything(self, prefix):
        """All keys of a prefix: strings as they are, hashes as dicts, without the prefix."""
        content = {}
        for key in self("KEYS", prefix + "*"):
            kind, name = self("TYPE", key), key.decode()[len(prefix):]
            if kind == b"hash":
                flat = self("HGETALL", key)
                content[name] = {field.decode(): value for field, value in zip(flat[::2], flat[1::2])}
            elif kind == b"string":
                content[name] = self("GET", key)
        return content


def unpack(data, at):
    """One value of MessagePack, and where the next begins; of the types that a header is made of."""
    code = data[at]
    if code < 0x80:
        return code, at + 1
    if code >= 0xe0:
        return code - 0x100, at + 1
    if code & 0xf0 == 0x90 or code == 0xdc:
        count, at = (code & 15, at + 1) if code != 0xdc else (struct.unpack_from(">H", data, at + 1)[0], at + 3)
        items = []
        for _ in range(count):
            item, at = unpack(data, at)
            items.append(item)
        return items, at
    if code & 0xe0 == 0xa0:
        return data[at + 1:at + 1 + (code & 31)].decode(), at + 1 + (code & 31)
    for first, form in ((0xc4, "B"), (0xc5, ">H"), (0xc6, ">I"), (0xd9, "B"), (0xda, ">H"), (0xdb, ">I")):
        if code == first:
            begin = at + 1 + struct.calcsize(form)
            end = begin + struct.unpack_from(form, data, at + 1)[0]
            return (data[begin:end] if code < 0xd0 else data[begin:end].decode()), end
    numbers = {0xcc: "B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: "b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
    if code in numbers:
        return struct.unpack_from(numbers[code], data, at + 1)[0], at + 1 + struct.calcsize(numbers[code])
    if code == 0xc0:
        return None, at + 1
    raise Damaged(f"MessagePack code {code:#x}")


def decode(entry):
    """Data version and payload of an entry. gzip's own checksum covers the payload."""
    try:
        magic, version, _, codec, _, length = struct.unpack_from("<4sBBBBI", entry)
        if (magic, version) != (b"HTSF", 1) or codec not in (GZIP, PLAIN_BODY, GZIP_BODY):
            raise Damaged(f"it begins with {entry[:8]!r}")
        (header, inflated, stored, _), end = unpack(entry[:12 + length], 12)
        payload = entry[12 + length:]
        # Ready bodies are sent as they are; those that are compressed tell of their size as stored.
        body = payload if codec == PLAIN_BODY else gzip.decompress(payload)
        payload = payload if codec == GZIP_BODY else body
    except (struct.error, ValueError, IndexError, EOFError, OSError, gzip.zlib.error) as error:
        raise Damaged(error) from error
    if end != 12 + length or stored != len(entry) - end or inflated != len(payload):
        raise Damaged("its lengths do not fit")
    return header[4], body
