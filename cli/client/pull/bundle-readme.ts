import type { PublicKey } from '../../../src/core/signing-key.ts';
import type { Statement } from '../../../src/core/statement.ts';
import { countOf, formatBytes, printable } from '../../format.ts';

/** The commands of docs/verify-by-hand.md, after those that say where things are; a test holds both against each other. */
export const HAND_CHECK = String.raw`test "$(jq -r .payloadType "$attestation")" = application/vnd.in-toto+json
jq -r .payload "$attestation" | openssl base64 -d -A > "$work/statement.json"
size=$(wc -c < "$work/statement.json")
{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$size"; cat "$work/statement.json"; } > "$work/signed"
key_id=$(openssl pkey -pubin -in "$key" -outform DER | sha256sum | cut -d ' ' -f 1)
jq -r --arg id "$key_id" 'first(.signatures[] | select(.keyid == $id)).sig' "$attestation" |
  openssl base64 -d -A > "$work/signature"
openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/signed" -sigfile "$work/signature"
jq -e '._type == "https://in-toto.io/Statement/v1" and .predicateType == "urn:artifact-store:preservation:v1"' \
  "$work/statement.json"
jq .predicate "$work/statement.json"
if [ "$(jq -r .predicate.subjects "$work/statement.json")" = files ]; then
  jq -c '.subject[] | [.digest.sha256, .name]' "$work/statement.json" > "$work/files"
else
  test "$(sha256sum < "$manifest")" = "$(jq -r '.subject[0].digest.sha256' "$work/statement.json")  -"
  jq -c '.files[] | [.sha256, .path]' "$manifest" > "$work/files"
fi
test "$(wc -l < "$work/files")" = "$(jq .predicate.file_count "$work/statement.json")"
jq -r '.[1]' "$work/files" | LC_ALL=C sort > "$work/expected"
(cd "$dir" && find . ! -type d -printf '%P\n') | LC_ALL=C sort > "$work/found"
diff "$work/expected" "$work/found"
test -z "$(find "$dir/" ! -type d ! -type f)"
jq -r '"\\" + .[0] + "  ./" + (.[1] | split("\\") | join("\\\\"))' "$work/files" > "$work/SHA256SUMS"
(cd "$dir" && sha256sum --check --strict --quiet "$work/SHA256SUMS")
echo "$dir has the files of $(jq -r .predicate.package.id "$work/statement.json"), as they were attested."
`;

/**
 * What a bundle says of itself: README.txt. Nothing in it that somebody else chose has a line of its own. It ends in the commands that check it, from the line that
 * begins with `dir=` on.
 */
export function bundleReadme({ predicate }: Statement, { id: signer }: PublicKey): string {
  const { package: pkg, file_count, total_size, finalized_at } = predicate;
  const id = printable(pkg.id);
  return `${id}
${'='.repeat(id.length)}

${countOf(file_count, 'file')}, ${formatBytes(total_size)}, which ${printable(pkg.producer)} made and artifact-store preserved. Finalized ${printable(finalized_at)}.

  package/            the files
  attestation.json    what the service signed of them (DSSE, in-toto Statement v1)
  manifest.json       path, SHA-256 and size of every file
  keys/               the service's public keys (Ed25519, PEM), each under its id

The attestation is signed with the key

  ${signer}

A key that lies beside the files proves only that both come from the same hand. Compare this id with the one that you got from the
service or from whoever runs it, over another channel. A key's id is the SHA-256 of its DER form:

  openssl pkey -pubin -in keys/${signer}.pem -outform DER | sha256sum

To check everything with artifact-store, which asks no service for that, in this directory:

  artifact-store verify --offline package --attestation attestation.json --key keys/${signer}.pem --manifest manifest.json

To check it by hand, with openssl 3, jq and sha256sum on any GNU/Linux: the lines below, which this runs:

  sed -n '/^dir=/,$p' README.txt | bash -euo pipefail

dir=package
attestation=attestation.json
key=keys/${signer}.pem
manifest=manifest.json
work=$(mktemp -d)
${HAND_CHECK}`;
}
