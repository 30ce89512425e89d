import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import test from 'ava';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { ROUTES } from '../../src/http/routes/index.ts';
import {
  assertValid,
  exampleSecret,
  MAIN,
  type Manifest,
  manifestsOf,
  only,
  podEnvironment,
  unknownFields,
} from '../support/manifests.ts';

/** deploy/kubernetes, held against the schemas of Kubernetes and what the service reads. */
test('each manifest is what Kubernetes calls it, with no field that it does not know', async (t) => {
  const manifests = (await Promise.all([MAIN, 'secret.example.yaml', 'ingress.example.yaml'].map(manifestsOf))).flat();
  for (const manifest of manifests) t.notThrows(() => assertValid(manifest), manifest.kind);
  t.is(await unknownFields(manifests), '');
  const deployment = structuredClone(await only('Deployment'));
  deployment.spec.replicas = 'two';
  t.throws(() => assertValid(deployment), { message: /replicas/ });
  const wrong = structuredClone(await only('Deployment'));
  wrong.spec.template.spec.containers[0].readinesProbe = {};
  t.regex(await unknownFields([wrong]), /readinesProbe/);
});

test('the environment of a pod is one that the service starts with, and replicas share', async (t) => {
  const config = loadConfig(await podEnvironment());
  t.truthy(config.databaseUrl);
  t.truthy(config.s3?.credentials);
  t.truthy(config.s3?.uploadCredentials);
  for (const shared of [config.signingKey, config.attestationKey, config.adminToken, config.publicUrl])
    t.truthy(shared);
  const secret = await exampleSecret();
  const used = new Set(
    (await only('Deployment')).spec.template.spec.containers[0].env.flatMap(
      ({ valueFrom }: Manifest) => valueFrom?.secretKeyRef.key ?? [],
    ),
  );
  t.deepEqual([...used].toSorted(), Object.keys(secret.stringData).toSorted());
});

test('what Kubernetes sets for a Service of this name would stop the start: it is told not to', async (t) => {
  const { name } = (await only('Service')).metadata;
  const prefix = name.toUpperCase().replaceAll('-', '_');
  const links = { [`${prefix}_PORT`]: 'tcp://10.0.0.1:80', [`${prefix}_SERVICE_HOST`]: '10.0.0.1' };
  t.throws(() => loadConfig(links), { instanceOf: ConfigError });
  t.false((await only('Deployment')).spec.template.spec.enableServiceLinks);
});

test('a pod has no rights that it does not need, and the user of the image', async (t) => {
  const { spec } = (await only('Deployment')).spec.template;
  const [container] = spec.containers;
  t.like(spec.securityContext, { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } });
  t.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  t.false(spec.automountServiceAccountToken);
  t.truthy(container.resources.limits.memory);
  const dockerfile = await readFile(resolve(import.meta.dirname, '../../Dockerfile'), 'utf8');
  // The image of Node.js gives `node` the id 1000.
  t.regex(dockerfile, /^USER node$/m);
  const { version } = JSON.parse(await readFile(resolve(import.meta.dirname, '../../package.json'), 'utf8'));
  t.true(container.image.endsWith(`:${version}`));
});

test('probes ask what is open to all, and everything selects the same pods', async (t) => {
  const { spec } = await only('Deployment');
  const [container] = spec.template.spec.containers;
  const { startupProbe, livenessProbe, readinessProbe } = container;
  const paths: string[] = [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path);
  t.deepEqual(paths, ['/healthz', '/healthz', '/readyz']);
  for (const path of paths) t.is(ROUTES.find((route) => route.path === path)?.access, 'open');
  const { labels } = spec.template.metadata;
  const { spec: service } = await only('Service');
  const { spec: budget } = await only('PodDisruptionBudget');
  for (const selector of [spec.selector.matchLabels, service.selector, budget.selector.matchLabels])
    t.deepEqual(selector, labels);
  t.is(service.ports[0].targetPort, container.ports[0].name);
  t.is((await podEnvironment()).ARTIFACT_STORE_PORT, String(container.ports[0].containerPort));
  t.true(budget.minAvailable < spec.replicas);
  const mounted = container.volumeMounts.map(({ name }: Manifest) => name);
  t.deepEqual(
    mounted,
    spec.template.spec.volumes.map(({ name }: Manifest) => name),
  );
  // Until nobody sends requests, then twice what a stop waits for (docs/install.md).
  t.true(spec.template.spec.terminationGracePeriodSeconds >= 5 + 20 + 10);
});
