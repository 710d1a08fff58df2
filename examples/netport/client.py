import json
import socket
import struct
import sys

HEADER = struct.Struct(">4sBIII")  # magic, protocol version, server version, length and 4, command

connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
stream = connection.makefile("rb")

for command, body in ((101, [6, 7]), (101, [6, "seven"]), (102, None)):
    data = json.dumps(body).encode()
    connection.sendall(HEADER.pack(bytes(4), 0, 0, len(data) + 4, command) + data)
    answered = None
    while answered not in (command, 0xFFFFFFFF):  # the latter tells of a failure
        *_, length, answered = HEADER.unpack(stream.read(HEADER.size))
        print(answered, json.loads(stream.read(length - 4)), flush=True)
