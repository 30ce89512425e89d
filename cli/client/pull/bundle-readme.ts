import type { PublicKey } from '../../../src/core/signing-key.ts';
import type { Statement } from '../../../src/core/statement.ts';
import { countOf, formatBytes, printable } from '../../format.ts';
import type { LogProofs } from './proofs.ts';

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
if [ -e "$proof" ]; then
  sed '1,/^$/d' "$proof" > "$work/checkpoint"
  sed '/^$/,$d' "$work/checkpoint" > "$work/root-signed"
  sed '1,/^$/d' "$work/checkpoint" | head -n 1 | cut -d ' ' -f 3 | openssl base64 -d -A | tail -c 64 > "$work/signature"
  openssl pkeyutl -verify -pubin -inkey "$log_key" -rawin -in "$work/root-signed" -sigfile "$work/signature"
fi
if [ -e "$proof" ]; then
  sed -n 's/^extra //p' "$proof" | openssl base64 -d -A > "$work/entry"
  jq -e --slurpfile statement "$work/statement.json" '$statement[0].predicate as $attested |
    .action == "package.finalized" and .package_id == $attested.package.id and
    .detail.manifest_digest == "sha256:" + $attested.manifest.sha256' "$work/entry"
fi
if [ -e "$proof" ]; then
  index=$(sed -n 's/^index //p' "$proof")
  last=$(($(sed -n 2p "$work/checkpoint") - 1))
  test "$index" -le "$last"
  { printf '\0'; cat "$work/entry"; } | openssl dgst -sha256 -binary > "$work/root"
  sed '1,/^index /d; /^$/,$d' "$proof" > "$work/hashes"
  while read -r hash; do
    printf %s "$hash" | openssl base64 -d -A > "$work/other"
    if [ $((index % 2)) = 1 ] || [ "$index" = "$last" ]; then
      { printf '\1'; cat "$work/other" "$work/root"; } | openssl dgst -sha256 -binary > "$work/parent"
      while [ $((index % 2)) = 0 ] && [ "$index" != 0 ]; do index=$((index / 2)) last=$((last / 2)); done
    else
      { printf '\1'; cat "$work/root" "$work/other"; } | openssl dgst -sha256 -binary > "$work/parent"
    fi
    mv "$work/parent" "$work/root"
    index=$((index / 2)) last=$((last / 2))
  done < "$work/hashes"
  test "$last" = 0
  test "$(openssl base64 -A -in "$work/root")" = "$(sed -n 3p "$work/checkpoint")"
  echo "The log $(head -n 1 "$work/checkpoint") has its finalization."
fi
`;

/**
 * What a bundle says of itself: README.txt. Nothing in it that somebody else chose has a line of its own. It ends in the commands that check it, from the line that
 * begins with `dir=` on.
 */
export function bundleReadme({ predicate }: Statement, { id: signer }: PublicKey, log: LogProofs | null): string {
  const { package: pkg, file_count, total_size, finalized_at } = predicate;
  const id = printable(pkg.id);
  const logKey = log?.key.id ?? signer;
  const keys = [...new Set([signer, logKey])].map((key) => ` --key keys/${key}.pem`).join('');
  const proof = log === null ? '' : ' --proof proof --checkpoint checkpoint';
  return `${id}
${'='.repeat(id.length)}

${countOf(file_count, 'file')}, ${formatBytes(total_size)}, which ${printable(pkg.producer)} made and artifact-store preserved. Finalized ${printable(finalized_at)}.

  package/            the files
  attestation.json    what the service signed of them (DSSE, in-toto Statement v1)
  manifest.json       path, SHA-256 and size of every file
  keys/               the service's public keys (Ed25519, PEM), each under its id
${log === null ? '' : LOG_FILES}
The attestation is signed with the key

  ${signer}

A key that lies beside the files proves only that both come from the same hand. Compare this id with the one that you got from the
service or from whoever runs it, over another channel. A key's id is the SHA-256 of its DER form:

  openssl pkey -pubin -in keys/${signer}.pem -outform DER | sha256sum

To check everything with artifact-store, which asks no service for that, in this directory:

  artifact-store verify --offline package --attestation attestation.json --manifest manifest.json${keys}${proof}

To check it by hand, with openssl 3, jq and sha256sum on any GNU/Linux: the lines below, which this runs:

  sed -n '/^dir=/,$p' README.txt | bash -euo pipefail

dir=package
attestation=attestation.json
key=keys/${signer}.pem
manifest=manifest.json
proof=proof
log_key=keys/${logKey}.pem
work=$(mktemp -d)
${HAND_CHECK}`;
}

const LOG_FILES = `  proof               that the audit's log has the finalization (C2SP tlog-proof)
  checkpoint          the signed checkpoint of the log that it leads to
`;
