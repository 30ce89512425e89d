import { generateKeyPairSync } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { envelopeBytes } from '../../src/core/dsse.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { readSigningKey, type SigningKey } from '../../src/core/signing-key.ts';
import {
  MANIFEST_NAME,
  PREDICATE_TYPE,
  STATEMENT_TYPE,
  type Statement,
  signStatement,
} from '../../src/core/statement.ts';
import { apiOf, sha256 } from './api.ts';
import { cliOf } from './cli-child.ts';
import { tempFolder } from './temp.ts';
import { writeTree } from './tree.ts';

/** A package that was pushed, finalized and pulled, and what was signed of it. */
export interface Attested {
  /** Everything of it, below the test's own folder, under the names that docs/verify-by-hand.md uses. */
  folder: string;
  copy: string;
  attestation: string;
  /** The public key. */
  key: string;
  manifest: string;
  signer: SigningKey;
  statement: Statement;
  /** Signs another statement in the place of the first. */
  sign(statement: Statement): Promise<void>;
}

export function newKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  return readSigningKey(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
}

/** What a finalized package's manifest says, as a statement. */
export function statementOfManifest(bytes: Buffer, subjects: 'files' | 'manifest'): Statement {
  const { package: pkg, files } = JSON.parse(bytes.toString()) as Manifest;
  const { id, name, producer, subject, external_id, supersedes, created_at, finalized_at, retention_class } = pkg;
  const manifest = { sha256: sha256(bytes).slice('sha256:'.length), size: bytes.length };
  return {
    _type: STATEMENT_TYPE,
    subject:
      subjects === 'files'
        ? files.map((file) => ({ name: file.path, digest: { sha256: file.sha256 } }))
        : [{ name: MANIFEST_NAME, digest: { sha256: manifest.sha256 } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      package: { id, name, producer, subject, external_id, supersedes },
      source_commits: {},
      retention_class,
      created_at,
      finalized_at,
      manifest,
      file_count: files.length,
      total_size: files.reduce((sum, { size }) => sum + size, 0),
      store_id: null,
      subjects,
    },
  };
}

export async function attested(
  t: ExecutionContext,
  url: string,
  files: Record<string, string | Uint8Array>,
  subjects: 'files' | 'manifest' = 'files',
): Promise<Attested> {
  const folder = await tempFolder(t);
  const [copy, attestation] = [join(folder, 'copy'), join(folder, 'attestation.json')];
  const [key, manifest] = [join(folder, 'key.pem'), join(folder, 'manifest.json')];
  const cli = cliOf({ ARTIFACT_STORE_URL: url, XDG_CACHE_HOME: join(folder, 'cache') });
  const source = await writeTree(join(folder, 'source'), files);
  const pushed = await cli('push', source, '--producer', 'tests', '--json');
  t.is(pushed.code, 0, pushed.stderr);
  const pulled = await cli('pull', pushed.json.package_id, copy);
  t.is(pulled.code, 0, pulled.stderr);
  const { bytes } = await cli('manifest', pushed.json.package_id);
  const signer = newKey();
  const sign = (statement: Statement): Promise<void> =>
    writeFile(attestation, envelopeBytes(signStatement(statement, signer)));
  const statement = statementOfManifest(bytes, subjects);
  await writeFile(manifest, bytes);
  await writeFile(key, signer.publicKey.pem);
  await sign(statement);
  return { folder, copy, attestation, key, manifest, signer, statement, sign };
}

/** The same with what the service itself signed: attestation, key and, as the page calls it, the proof of its log. */
export async function preserved(
  t: ExecutionContext,
  url: string,
  files: Record<string, string | Uint8Array>,
): Promise<Attested & { proof: string }> {
  const there = await attested(t, url, files);
  const { id } = there.statement.predicate.package;
  const proof = join(there.folder, 'finalized.tlog-proof');
  const cli = cliOf({ ARTIFACT_STORE_URL: url });
  await rm(there.attestation);
  t.is((await cli('pull', id, there.copy, '--attestation', there.attestation)).code, 0);
  await writeFile(there.key, (await cli('keys', 'export')).bytes);
  const events = await apiOf(url).get(`/v1/audit?package_id=${id}&action=package.finalized`);
  const proved = await cli('audit', 'prove', events.body.items[0].id);
  t.is(proved.code, 0, proved.stderr);
  await writeFile(proof, proved.bytes);
  return { ...there, proof };
}

/** Names that a shell, a list of digests or a careless program could take for something else. */
export const STRANGE_NAMES: Record<string, string> = {
  plain: 'p',
  '-': 'a file, not standard input',
  '--help': 'h',
  'with  two blanks': 'b',
  ' begins with one': 'c',
  'ends with one ': 'd',
  'back\\slash': 'e',
  '\\begins': 'f',
  'line\\nbreak': 'no line break',
  "quote\"s and 'apostrophes'": 'g',
  '$(exit 1) `false` $HOME *': 'h',
  '#comment': 'i',
  'größe/日本語/e\u0301': 'j',
  'folder/.hidden': 'k',
  '...': 'l',
  'folder/empty': '',
};
