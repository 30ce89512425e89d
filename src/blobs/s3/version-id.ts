/** What S3 calls the one version of an object that was stored before its bucket had versions. */
const NO_VERSION = 'null';

/** @returns null: the bucket keeps no versions */
export function versionIdOf(said: string | undefined): string | null {
  return said && said !== NO_VERSION ? said : null;
}
