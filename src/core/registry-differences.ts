import { type Named, none } from './rebuild-report.ts';

/** How a registry differs from its store. Packages are named by their ids, decisions and objects by their keys. */
export interface RegistryDifferences {
  /** What was compared. */
  packages: number;
  decisions: number;
  objects: number;
  /** The store has a manifest, and the registry does not know that the package was finalized. */
  unknown_packages: Named;
  /** The registry knows that it was finalized, and the store has no manifest. */
  missing_manifests: Named;
  /** The manifest cannot be read, or has another digest than the registry knows. */
  other_manifests: Named;
  /** The registry's list of files would make another manifest. */
  other_files: Named;
  /** The registry says otherwise than the decisions how long it is kept, whether it is held, or whether it was deleted. */
  other_retention: Named;
  unknown_decisions: Named;
  missing_decisions: Named;
  unreadable_decisions: Named;
  /** The registry has them; the store does not, or with another size. */
  missing_objects: Named;
  /** The registry takes them for lost, and they are there. */
  found_objects: Named;
  /** The store has them, the registry does not. */
  unknown_objects: Named;
}

const COUNTED = ['packages', 'decisions', 'objects'] as const;
export type DifferenceKind = Exclude<keyof RegistryDifferences, (typeof COUNTED)[number]>;

export function noDifferences(): RegistryDifferences {
  return {
    packages: 0,
    decisions: 0,
    objects: 0,
    unknown_packages: none(),
    missing_manifests: none(),
    other_manifests: none(),
    other_files: none(),
    other_retention: none(),
    unknown_decisions: none(),
    missing_decisions: none(),
    unreadable_decisions: none(),
    missing_objects: none(),
    found_objects: none(),
    unknown_objects: none(),
  };
}

export function differenceKinds(differences: RegistryDifferences): DifferenceKind[] {
  const kinds = Object.keys(differences) as Array<keyof RegistryDifferences>;
  return kinds.filter((kind): kind is DifferenceKind => !(COUNTED as readonly string[]).includes(kind));
}

export function areEqual(differences: RegistryDifferences): boolean {
  return differenceKinds(differences).every((kind) => differences[kind].count === 0);
}
