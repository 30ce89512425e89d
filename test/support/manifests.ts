import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Secret, Service, ServiceAccount } from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';

export const FOLDER = resolve(import.meta.dirname, '../../deploy/kubernetes');

/** The kinds that the manifests have, and where their types are. */
const KINDS = {
  ConfigMap: [ConfigMap, 'v1'],
  Deployment: [Deployment, 'apps/v1'],
  Ingress: [Ingress, 'networking.k8s.io/v1'],
  PodDisruptionBudget: [PodDisruptionBudget, 'policy/v1'],
  Secret: [Secret, 'v1'],
  Service: [Service, 'v1'],
  ServiceAccount: [ServiceAccount, 'v1'],
} as const;

export interface Manifest {
  apiVersion: string;
  kind: keyof typeof KINDS;
  // biome-ignore lint/suspicious/noExplicitAny: a manifest of any kind
  [field: string]: any;
}

export async function manifestsOf(name: string): Promise<Manifest[]> {
  const documents = parseAllDocuments(await readFile(join(FOLDER, name), 'utf8'));
  return documents.map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as Manifest;
  });
}

/** By the schemas of Kubernetes: what is missing, or of another type. @throws Error that says what */
export function assertValid(manifest: Manifest): void {
  const [Kind, group] = KINDS[manifest.kind];
  if (manifest.apiVersion !== group) throw new Error(`${manifest.kind} is of ${group}, not of ${manifest.apiVersion}`);
  new Kind(manifest as never).validate();
}

/** Names that Kubernetes does not know, which the schemas let through: TypeScript finds them. @returns what it says; empty: nothing */
export async function unknownFields(manifests: readonly Manifest[]): Promise<string> {
  const source = manifests.map((manifest, at) => {
    const [, group] = KINDS[manifest.kind];
    return `import type { I${manifest.kind} as T${at} } from 'kubernetes-models/${group}';
export const m${at}: T${at} = ${JSON.stringify(manifest)};`;
  });
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-test-'));
  const modules = resolve(import.meta.dirname, '../../node_modules');
  await symlink(modules, join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{"type": "module"}');
  const file = join(folder, 'manifests.ts');
  await writeFile(file, source.join('\n'));
  const tsc = join(modules, '.bin/tsc');
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--ignoreConfig', file];
  try {
    await promisify(execFile)(tsc, flags);
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const MAIN = 'artifact-store.yaml';

/** The one manifest of a kind. */
export async function only(kind: Manifest['kind']): Promise<Manifest> {
  const found = (await manifestsOf(MAIN)).filter((manifest) => manifest.kind === kind);
  if (found.length !== 1) throw new Error(`${found.length} of the kind ${kind}`);
  return found[0] as Manifest;
}

export async function exampleSecret(): Promise<Manifest> {
  return (await manifestsOf('secret.example.yaml'))[0] as Manifest;
}

/** The environment that a pod gets. */
export async function podEnvironment(): Promise<Record<string, string>> {
  const { spec } = (await only('Deployment')).spec.template;
  const secret = await exampleSecret();
  const [container] = spec.containers;
  const { data } = await only('ConfigMap');
  const own = container.env.map(({ name, value, valueFrom }: Manifest) => {
    if (value !== undefined) return [name, value];
    const { name: from, key } = valueFrom.secretKeyRef;
    if (from !== secret.metadata.name || !(key in secret.stringData)) throw new Error(`${name}: no ${from}/${key}`);
    return [name, secret.stringData[key]];
  });
  return { ...data, ...Object.fromEntries(own) };
}
