/** What helps where the store has lost bytes. */
export const MEND =
  'To mend them: `artifact-store repair DIR`, with a directory (or files) that has the same bytes, under any names.';
