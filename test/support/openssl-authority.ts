import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CONFIG = `
[tsa]
default_tsa = here
[here]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
[ca]
basicConstraints = critical,CA:true
[ext]
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
`;

/** A small real time stamp authority (RFC 3161), with a certificate of its own. */
export interface OpensslAuthority {
  /** Its root certificate. */
  caFile: string;
  openssl(...args: string[]): string;
  /** A file in its folder. @returns its path */
  put(name: string, bytes: string | Buffer): string;
  /** DER of a TimeStampReq → DER of a TimeStampResp. */
  answer(request: Buffer): Buffer;
  /** Whether openssl accepts the stamp over the bytes. */
  verifies(response: Buffer, bytes: string | Buffer): boolean;
  dispose(): void;
}

export function opensslAuthority(): OpensslAuthority {
  const folder = mkdtempSync(join(tmpdir(), 'time-stamp-authority-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }).toString();
  function put(name: string, bytes: string | Buffer): string {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    return file;
  }
  put('conf', CONFIG);
  put('serial', '01\n');
  const made = ['req', '-x509', '-config', 'conf', '-newkey', 'rsa:2048', '-noenc', '-days', '2'];
  openssl(...made, '-subj', '/CN=ca', '-extensions', 'ca', '-keyout', 'ca.key', '-out', 'ca.pem');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-extensions', 'ext'];
  openssl(...made, ...signed, '-subj', '/CN=tsa', '-keyout', 'tsa.key', '-out', 'tsa.pem');
  return {
    caFile: join(folder, 'ca.pem'),
    openssl,
    put,
    answer(request) {
      put('request', request);
      openssl('ts', '-reply', '-config', 'conf', '-queryfile', 'request', '-out', 'response');
      return readFileSync(join(folder, 'response'));
    },
    verifies(response, bytes) {
      put('given', response);
      put('data', bytes);
      try {
        openssl('ts', '-verify', '-in', 'given', '-data', 'data', '-CAfile', 'ca.pem');
        return true;
      } catch {
        return false;
      }
    },
    dispose: () => rmSync(folder, { recursive: true }),
  };
}
