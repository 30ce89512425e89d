/** `artifact-store/client`: what programs import. The command line does its work by the same modules. */
export type * from './answers.ts';
export { createClient } from './create-client.ts';
export { ArtifactStoreError } from './error.ts';
export type * from './types.ts';
