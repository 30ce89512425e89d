import type { Json } from '../../src/core/canonical-json.ts';
import { asObject, asText, firstMember, firstText, storable } from '../../src/core/json-fields.ts';

/** Repository → commit. Given as an object, or as a list of `{repository, commit}`. */
export function sourceCommits(value: Json | undefined): Record<string, string> {
  const commits = new Map<string, string>();
  if (Array.isArray(value)) {
    for (const source of value) {
      const repository = firstText(source, 'repository', 'repo', 'name', 'id', 'url', 'path');
      const commit = firstText(source, 'commit', 'sha', 'revision', 'head');
      if (repository !== null && commit !== null) commits.set(repository, commit);
    }
  } else {
    for (const [repository, source] of Object.entries(asObject(value) ?? {})) {
      const commit =
        asObject(source) === null ? asText(source) : firstText(source, 'commit', 'sha', 'revision', 'head');
      if (commit !== null) commits.set(storable(repository), commit);
    }
  }
  return Object.fromEntries([...commits].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Of sources.lock.json: the list or object may be the whole document. */
export function lockedCommits(document: Json | undefined): Record<string, string> {
  return sourceCommits(firstMember(document, 'source_commits', 'sources', 'repositories', 'commits') ?? document);
}
