import type { Verb } from '../command.ts';
import { auditCheckpoint } from './audit-checkpoint.ts';
import { auditProve } from './audit-prove.ts';
import { auditVerify } from './audit-verify.ts';
import { cat } from './cat.ts';
import { completion } from './completion.ts';
import { diff } from './diff.ts';
import { doctor } from './doctor.ts';
import { eligible } from './eligible.ts';
import { exportPackage } from './export.ts';
import { extend } from './extend.ts';
import { find } from './find.ts';
import { fixity } from './fixity.ts';
import { hold } from './hold.ts';
import { ingestGuideBoard } from './ingest.ts';
import { ingestBagit } from './ingest-bagit.ts';
import { installCheck } from './install-check.ts';
import { keysExport } from './keys-export.ts';
import { keysLs } from './keys-ls.ts';
import { keysRotate } from './keys-rotate.ts';
import { link } from './link.ts';
import { ls } from './ls.ts';
import { manifest } from './manifest.ts';
import { migrate } from './migrate.ts';
import { pull } from './pull.ts';
import { push } from './push.ts';
import { quota } from './quota.ts';
import { rebuild } from './rebuild.ts';
import { release } from './release.ts';
import { repair } from './repair.ts';
import { retention } from './retention.ts';
import { rm } from './rm.ts';
import { serve } from './serve.ts';
import { shareCreate } from './share-create.ts';
import { shareLs } from './share-ls.ts';
import { shareRevoke } from './share-revoke.ts';
import { show } from './show.ts';
import { sweep } from './sweep.ts';
import { tokenCreate } from './token-create.ts';
import { tokenExplain } from './token-explain.ts';
import { tokenLs } from './token-ls.ts';
import { tokenRevoke } from './token-revoke.ts';
import { verify } from './verify.ts';
import { webhookAdd } from './webhook-add.ts';
import { webhookDeliveries } from './webhook-deliveries.ts';
import { webhookLs } from './webhook-ls.ts';
import { webhookReplay } from './webhook-replay.ts';
import { webhookRm } from './webhook-rm.ts';
import { webhookRotate } from './webhook-rotate.ts';
import { webhookTest } from './webhook-test.ts';

/** Every verb, in the order of the help. `main` hands it to who needs it: no verb imports it. */
export const VERBS: readonly Verb[] = [
  serve,
  push,
  ingestGuideBoard,
  ingestBagit,
  pull,
  exportPackage,
  ls,
  show,
  find,
  manifest,
  cat,
  link,
  shareCreate,
  shareLs,
  shareRevoke,
  diff,
  verify,
  retention,
  extend,
  hold,
  release,
  eligible,
  rm,
  sweep,
  fixity,
  repair,
  rebuild,
  quota,
  keysLs,
  keysRotate,
  keysExport,
  tokenCreate,
  tokenLs,
  tokenRevoke,
  tokenExplain,
  webhookAdd,
  webhookLs,
  webhookRm,
  webhookTest,
  webhookRotate,
  webhookDeliveries,
  webhookReplay,
  auditVerify,
  auditCheckpoint,
  auditProve,
  doctor,
  installCheck,
  migrate,
  completion,
];
