"""Commands that check a record without this program: a shell, openssl and base64 are enough.

The script names every sibling hash of the proof on a line of its own, so that a person can read
what is computed: RFC 6962 says that a leaf is SHA-256 of 0x00 and the record, and a node SHA-256
of 0x01 and its two children. The signature is checked with the key the auditor was given.
"""

import base64
import shlex

from stairways.core.merkle import inclusion_spans
from stairways.service.seal import checkpoint_of
from stairways.store.seal import Proof

_HEAD = """\
#!/bin/sh
# Is the record at position {position} under the signed checkpoint of {size} events?
# Run it beside {position}.json and {position}.tlog-proof with the public key you were given:
#   sh check-{position}.sh 'NAME+HASH+KEY'
set -eu
sha() {{ openssl dgst -sha256 -binary; }}
up() {{ (printf '\\001'; echo "$1" | base64 -d; echo "$2" | base64 -d) | sha | base64; }}
n=$( (printf '\\000'; cat {position}.json) | sha | base64)
"""
_TAIL = """\
# the root that was signed is the third line of the checkpoint, which follows the empty line
sed '1,/^$/d' {position}.tlog-proof > note.txt
head -n 3 note.txt > text.txt
test "$n" = "$(tail -n 1 text.txt)" || {{ echo 'NOT under the checkpoint' >&2; exit 1; }}
# the signature under it: 4 bytes that name the key, then 64 bytes of Ed25519
key=${{1#*+}}; key=${{key#*+}}
(printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'
 echo "$key" | base64 -d | tail -c 32) > key.der
grep -F "{mark}${{1%%+*}} " note.txt | head -n 1 | sed 's/.* //' > line.txt
base64 -d < line.txt | tail -c 64 > signature
openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in text.txt -sigfile signature
"""


def script(proof: Proof) -> str:
    """Return a shell script that checks a proof with openssl, step by step."""
    position, size = proof.index + 1, checkpoint_of(proof.checkpoint).size
    lines = [_HEAD.format(position=position, size=size)]
    for span, node in zip(inclusion_spans(proof.index, size), proof.hashes, strict=True):
        sibling = shlex.quote(base64.b64encode(node).decode())
        pair = f'"$n" {sibling}' if span[0] > proof.index else f'{sibling} "$n"'
        lines.append(f"n=$(up {pair})  # leaves {span[0] + 1} to {span[1]}\n")
    return "".join(lines) + _TAIL.format(position=position, mark="\N{EM DASH} ")
